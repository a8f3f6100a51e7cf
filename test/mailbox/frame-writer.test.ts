import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import type { ObjectKey } from "../../src/base/names.ts";
import { leaseOf } from "../../src/mailbox/lease.ts";
import { FrameWriter } from "../../src/mailbox/frame-writer.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import {
  chainOf,
  decodeFrames,
  noPrev,
  type FrameEvent,
  type FramesPayload,
} from "../../src/protocol/frame.ts";
import type { JsonValue } from "../../src/protocol/fields.ts";
import { aroundStore } from "../../src/store/around.ts";
import { framesKeyOf } from "../support/forged.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { receiptWith } from "../support/receipts.ts";
import { promisesSettled } from "../support/stepped-clock.ts";
import {
  agent,
  bytesAt,
  codeOf,
  realm,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

let two: TwoGateways;
let writer: FrameWriter;
let leaving: AbortController;
beforeEach(() => {
  two = twoGateways();
  leaving = new AbortController();
  writer = new FrameWriter(two.doer.process(), leaseOf(receiptWith()), leaving.signal);
});

const started: FrameEvent = { event: "started", payload: { agent, attempt: 1 } };
const says = (text: string): FrameEvent => ({ event: "textDelta", payload: { text } });
const output = (value: JsonValue): FrameEvent => ({
  event: "toolResult",
  payload: { id: "1", output: value, isError: false },
});
const succeeded = { status: "succeeded" } as const;

function decoded(key: ObjectKey, bytes: Uint8Array): FramesPayload {
  return decodeFrames(
    parseEnvelope("frames", bytes).verify(two.doer.signingKey.publicKey, { realm, key }),
  );
}

/** Every envelope that stands in the store, in order. */
async function written(): Promise<{ payload: FramesPayload; bytes: Uint8Array }[]> {
  const found = [];
  for (const key of await two.keys("asker/frames/")) {
    const bytes = (await bytesAt(two.store, key)) ?? new Uint8Array();
    found.push({ payload: decoded(key, bytes), bytes });
  }
  return found;
}

const finish = () => two.clock.until(writer.finish(succeeded));

describe("gathering", () => {
  it("writes what came within the window as one envelope, and not before", async () => {
    await writer.push(started);
    await two.clock.advance(limits.frameWindowMs - 1);
    await writer.push(says("a"));
    expect(two.doer.calls).toEqual([]);
    await two.clock.advance(1);
    expect(two.doer.calls).toEqual(["put frames"]);
    const [first] = await written();
    expect(first?.payload.frames.map(({ event }) => event)).toEqual(["started", "textDelta"]);
  });

  it("opens a new window with the next frame", async () => {
    await writer.push(started);
    await two.clock.advance(limits.frameWindowMs);
    await two.clock.advance(60_000);
    await writer.push(says("a"));
    await two.clock.advance(limits.frameWindowMs);
    expect((await written()).map(({ payload }) => payload.seq)).toEqual([0, 1]);
  });

  it("writes early once much has come, and takes no more meanwhile", async () => {
    await writer.push(started);
    await writer.push(says("x".repeat(limits.frameFlushBytes)));
    expect(two.doer.calls).toEqual(["put frames"]);
  });
});

describe("an envelope", () => {
  it("names the one before by its hash, and goes on from its numbers", async () => {
    for (const event of [started, says("a"), says("b")]) {
      await writer.push(event);
      await two.clock.advance(limits.frameWindowMs);
    }
    const [one, second, third] = await written();
    expect(one?.payload.prev).toEqual(noPrev);
    expect(second?.payload.prev).toEqual(chainOf(one?.bytes ?? noPrev));
    expect(third?.payload.prev).toEqual(chainOf(second?.bytes ?? noPrev));
  });

  it("is put again byte for byte while the store is down, and nothing overtakes it", async () => {
    two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    await writer.push(started);
    await two.clock.advance(limits.frameWindowMs);
    await writer.push(says("later"));
    await two.clock.advance(60_000);
    expect(await written()).toEqual([]);
    two.doer.trouble = () => undefined;
    await two.clock.advance(5000);
    const envelopes = await written();
    expect(envelopes.map(({ payload }) => payload.frames.map(({ event }) => event))).toEqual([
      ["started"],
      ["textDelta"],
    ]);
  });

  it("whose response was lost is found standing, and goes on", async () => {
    let lost = 0;
    two.doer.trouble = ({ operation }) =>
      operation === "put" && ++lost === 1
        ? { when: "after", code: "STORE_UNREACHABLE" }
        : undefined;
    await writer.push(started);
    await two.clock.advance(limits.frameWindowMs);
    await two.clock.advance(5000);
    expect(two.doer.calls).toEqual(["put frames", "put frames", "get frames"]);
    expect((await finish()).seq).toBe(1);
  });

  it("that meets other bytes ends the attempt", async () => {
    two.store.plant(framesKeyOf(two.asker, two.doer, receiptWith()), utf8("not ours"));
    await writer.push(started);
    await two.clock.advance(limits.frameWindowMs);
    expect(await codeOf(two.clock, writer.push(says("a")))).toBe("FRAME_CHAIN_BROKEN");
    expect(await codeOf(two.clock, writer.finish(succeeded))).toBe("FRAME_CHAIN_BROKEN");
  });
});

describe("finishing", () => {
  it("bundles what is pending with the terminal, and puts nothing of it", async () => {
    await writer.push(started);
    await writer.push(says("a"));
    const terminal = await finish();
    expect(two.doer.calls).toEqual([]);
    const key = framesKeyOf(two.asker, two.doer, receiptWith());
    expect([terminal.attempt, terminal.seq]).toEqual([1, 0]);
    const { frames } = decoded(key, terminal.envelope);
    expect(frames.map(({ event }) => event)).toEqual(["started", "textDelta", "terminal"]);
  });

  it("chains the terminal to the envelopes that stand", async () => {
    await writer.push(started);
    await two.clock.advance(limits.frameWindowMs);
    const terminal = await finish();
    const key = framesKeyOf(two.asker, two.doer, receiptWith(), 1, 1);
    const [first] = await written();
    expect(decoded(key, terminal.envelope).prev).toEqual(chainOf(first?.bytes ?? noPrev));
  });

  it("takes nothing afterwards: no frame may come to lie in the terminal's place", async () => {
    await writer.push(started);
    await finish();
    expect(await codeOf(two.clock, writer.push(says("late")))).toBe("HANDLER_OUTPUT");
    await two.clock.advance(60_000);
    expect(two.doer.calls).toEqual([]);
  });
});

describe("bounds", () => {
  it("refuses a frame that is too large, and one that is just small enough it takes", async () => {
    await writer.push(started);
    const most = "x".repeat(limits.maxFrameBytes - 100);
    await writer.push(says(most));
    expect(await codeOf(two.clock, writer.push(says(`${most}${"x".repeat(101)}`)))).toBe(
      "HANDLER_OUTPUT",
    );
  });

  it("refuses more than a run may put out", async () => {
    await writer.push(started);
    const text = "x".repeat(limits.maxFrameBytes / 2);
    const fits = Math.floor(limits.maxRunOutputBytes / (text.length + 100));
    for (let count = 0; count < fits; count += 1) await writer.push(says(text));
    expect(await codeOf(two.clock, writer.push(says(text)))).toBe("HANDLER_OUTPUT");
  });

  it("refuses a value that is nested too deeply for an envelope, at once and alone", async () => {
    await writer.push(started);
    const nested = (levels: number): JsonValue => (levels === 0 ? 1 : [nested(levels - 1)]);
    // The envelope's map, its list, the frame and its payload lie around it.
    const most = limits.maxCborDepth - 4;
    expect(await codeOf(two.clock, writer.push(output(nested(most + 1))))).toBe("HANDLER_OUTPUT");
    expect(await codeOf(two.clock, writer.push(output(nested(most))))).toBe("fulfilled");
    expect((await finish()).payload).toEqual(succeeded);
  });

  it("refuses a value of too many items, at once and alone", async () => {
    await writer.push(started);
    const items = (count: number): JsonValue => Array.from({ length: count }, () => 1);
    expect(await codeOf(two.clock, writer.push(output(items(limits.maxCborItems))))).toBe(
      "HANDLER_OUTPUT",
    );
    expect(await codeOf(two.clock, writer.push(output(items(1000))))).toBe("fulfilled");
  });

  it("splits frames whose items together are too many for one envelope", async () => {
    const value = Array.from({ length: 5000 }, () => 1);
    await writer.push(started);
    for (let count = 0; count < 20; count += 1) await writer.push(output(value));
    const terminal = await finish();
    const frames = (await written()).flatMap(({ payload }) => payload.frames);
    expect(frames.length).toBe(terminal.seq);
    expect(frames.filter(({ event }) => event === "toolResult")).toHaveLength(20);
  });

  it("writes more frames than an envelope holds as several", async () => {
    await writer.push(started);
    const most = limits.maxFramesPerEnvelope + 10;
    for (let count = 0; count < most; count += 1) await writer.push(says(`${count}`));
    const terminal = await finish();
    const envelopes = await written();
    expect(envelopes.length).toBe(1);
    const key = framesKeyOf(two.asker, two.doer, receiptWith(), 1, terminal.seq);
    const rest = decoded(key, terminal.envelope).frames.length;
    expect(terminal.seq + rest).toBe(most + 2);
  });
});

it("writes an envelope for each window, also of what comes while one is on its way", async () => {
  const perWindow = 20;
  await writer.push(started);
  for (let count = 1; count < 10 * perWindow; count += 1) {
    await writer.push(says("."));
    await two.clock.advance(limits.frameWindowMs / perWindow);
  }
  await finish();
  expect((await written()).length).toBeLessThanOrEqual(10);
});

it(
  "keeps the longest run, however little it says at a time, within what a caller reads",
  { timeout: 120_000 },
  async () => {
    const clock = new ManualClock();
    const put = { count: 0, bytes: 0 };
    const store = aroundStore(two.store, async (_call, run, outcomeOf) => {
      const result = await run();
      put.count += 1;
      put.bytes += outcomeOf(result).bytes;
      return result;
    });
    const box: Mailbox = { ...two.doer.process(), clock, store };
    writer = new FrameWriter(box, leaseOf(receiptWith()), leaving.signal);
    const endMs = clock.now() + limits.longestMaxRunMs;
    await writer.push(started);
    while (clock.now() < endMs && put.bytes <= limits.maxTranscriptBytes) {
      await promisesSettled();
      await writer.push(says("."));
    }
    const { envelope } = await writer.finish(succeeded);
    // Half of it, so that there is room for texts and for longer names.
    expect(put.bytes + envelope.length).toBeLessThan(limits.maxTranscriptBytes / 2);
    expect(put.count).toBeGreaterThan(limits.envelopesAtFirst);
  },
);

describe("sealing at once", () => {
  it("takes what is pending along, and puts nothing", async () => {
    await writer.push(started);
    const { seq, envelope } = writer.sealed(succeeded) ?? expect.fail("not sealed");
    expect(seq).toBe(0);
    const payload = decodeFrames(parseEnvelope("frames", envelope).untrustedPayload);
    expect(payload.frames.map(({ event }) => event)).toEqual(["started", "terminal"]);
    await two.clock.advance(limits.frameWindowMs);
    expect(two.doer.calls).toEqual([]);
  });

  it("is refused while an envelope is on its way, and what comes after it is signed by `finish`", async () => {
    await writer.push(started);
    let sealed: unknown = "not asked";
    two.doer.trouble = () => {
      sealed = writer.sealed(succeeded);
      return undefined;
    };
    await two.clock.advance(limits.frameWindowMs);
    expect(sealed).toBeUndefined();
    expect((await finish()).seq).toBe(1);
  });
});

it("does not wait for a store that cannot be reached once the gateway is leaving", async () => {
  two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
  await writer.push(started);
  await two.clock.advance(limits.frameWindowMs);
  leaving.abort();
  expect(await codeOf(two.clock, writer.finish(succeeded))).toBe("STORE_UNREACHABLE");
});
