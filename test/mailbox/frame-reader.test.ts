import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName } from "../../src/base/names.ts";
import { FrameReader } from "../../src/mailbox/frame-reader.ts";
import { chainOf } from "../../src/protocol/frame.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { framesKeyOf, plantFrames, says, started, succeeds } from "../support/forged.ts";
import { digestOf, runOf } from "../support/receipts.ts";
import { codeOf, plainGrants, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let record: OutboxRecord;
let reader: FrameReader;
beforeEach(async () => {
  two = twoGateways();
  const box = two.asker.process();
  record = await two.asks(box, "hi");
  reader = new FrameReader(box, record);
});

const plant = (answer: Omit<Parameters<typeof plantFrames>[1], "runId" | "requestDigest">) =>
  plantFrames(two, { runId: record.runId, requestDigest: record.requestDigest, ...answer });
const events = async (reading = reader.next()): Promise<string[]> =>
  (await reading).map(({ attempt, seq, event }) => `${attempt}.${seq} ${event}`);

it("reads envelope by envelope, by the number that the last one leads to", async () => {
  const first = plant({ frames: [started(), says("a")] });
  plant({ seq: 2, prev: chainOf(first.bytes), frames: [says("b"), succeeds] });
  expect(await events()).toEqual(["1.0 started", "1.1 textDelta"]);
  expect(await events()).toEqual(["1.2 textDelta", "1.3 terminal"]);
  expect(two.asker.calls).toEqual(["put request", "get frames", "get frames"]);
});

it("keeps the envelopes as they were, with the key that verified each and when", async () => {
  const { key, bytes } = plant({ frames: [started()] });
  await reader.next();
  expect(reader.envelopes).toEqual([
    {
      key,
      envelope: bytes,
      kid: two.doer.signingKey.publicKey.kid,
      verifiedMs: two.clock.now(),
    },
  ]);
});

it("waits at a gap, whatever lies behind it", async () => {
  const first = plant({ frames: [started()] });
  plant({ seq: 2, prev: chainOf(first.bytes), frames: [says("later")] });
  expect(await events()).toEqual(["1.0 started"]);
  expect(await events()).toEqual([]);
});

describe("what counts as absent, and is reported", () => {
  const place = () => framesKeyOf(two.asker, two.doer, record);
  it.each<[string, string, () => void]>([
    ["junk", "CBOR_MALFORMED", () => two.store.plant(place(), Uint8Array.of(0xd2))],
    [
      "a torn envelope",
      "CBOR_MALFORMED",
      () => two.store.plant(place(), plant({ frames: [started()] }).bytes.slice(0, -1)),
    ],
    [
      "an object that is too large",
      "OBJECT_TOO_LARGE",
      () => two.store.plant(place(), new Uint8Array(limits.maxEnvelopeBytes + 1)),
    ],
    [
      "a signature by a key that is not pinned",
      "KEY_UNKNOWN",
      () =>
        void plant({
          frames: [started()],
          signingKey: signingKeyFromSeed(new Uint8Array(32).fill(9)),
        }),
    ],
    [
      "a signature by a key that was revoked",
      "KEY_REVOKED",
      () => {
        plant({ frames: [started()] });
        two.asker.trusts(two.doer, plainGrants, { revoked: true });
      },
    ],
    [
      "frames for another reader",
      "AUDIENCE_MISMATCH",
      () => void plant({ frames: [started()], aud: parseGatewayName("other") }),
    ],
    [
      "an envelope that was signed for another place",
      "SIGNATURE_INVALID",
      () => {
        const elsewhere = plant({ attempt: 2, frames: [started(2)] });
        two.store.plant(place(), elsewhere.bytes);
      },
    ],
    [
      "an answer to other bytes than were sent",
      "SIGNATURE_INVALID",
      () => {
        const requestDigest = digestOf("z");
        const other = plantFrames(two, { runId: record.runId, requestDigest, frames: [succeeds] });
        two.store.plant(place(), other.bytes);
      },
    ],
    [
      "an answer to another run",
      "SIGNATURE_INVALID",
      () => {
        const { requestDigest } = record;
        const other = plantFrames(two, { runId: runOf("z"), requestDigest, frames: [succeeds] });
        two.store.plant(place(), other.bytes);
      },
    ],
  ])("%s", async (_what, code, prepare) => {
    prepare();
    expect(await events()).toEqual([]);
    expect(two.asker.reports).toEqual([code]);
  });

  it("an answer whose digest only begins as the one that was sent", async () => {
    const requestDigest = digestOf("z");
    const beginning = record.requestDigest.slice(0, 16);
    const forged = `${beginning}${requestDigest.slice(16)}`;
    expect(forged.slice(0, 16)).toBe(beginning);
    plantFrames(two, {
      runId: record.runId,
      requestDigest: asDigest(forged),
      frames: [succeeds],
    });
    expect(await events()).toEqual([]);
    expect(two.asker.reports).toEqual(["FRAME_INVALID"]);
  });
});

it("fails while the own trust document cannot be used, and counts nothing as absent", async () => {
  plant({ frames: [started()] });
  two.asker.trustFailure = new PosternError("TRUST_INVALID", "made up by a test");
  expect(await codeOf(two.clock, reader.next())).toBe("TRUST_INVALID");
});

describe("a chain that is broken", () => {
  it("is read no further", async () => {
    plant({ frames: [started()] });
    const swapped = plant({ seq: 1, prev: chainOf(utf8("other")), frames: [succeeds] });
    await reader.next();
    expect(await codeOf(two.clock, reader.next())).toBe("FRAME_CHAIN_BROKEN");
    expect(await events()).toEqual([]);
    expect(reader.envelopes.map(({ key }) => key)).not.toContain(swapped.key);
  });

  it("leaves only a higher attempt to answer", async () => {
    plant({ frames: [started()] });
    plant({ seq: 1, prev: chainOf(utf8("other")), frames: [succeeds] });
    await reader.next();
    await codeOf(two.clock, reader.next());
    plant({ attempt: 2, frames: [succeeds] });
    expect(await events(reader.higherAttempt())).toEqual(["2.0 terminal"]);
  });
});

describe("a higher attempt", () => {
  const forge = (from: number, to: number): void => {
    for (let attempt = from; attempt <= to; attempt += 1)
      two.store.plant(framesKeyOf(two.asker, two.doer, record, attempt), utf8("forged"));
  };

  it.each([2, limits.maxAttempt])(
    "is found among all that can be forged as %i, for a bounded number of requests",
    async (attempt) => {
      forge(2, limits.maxAttempt);
      plant({ attempt, frames: [started(attempt)] });
      two.asker.calls.splice(0);
      expect(await events(reader.higherAttempt())).toEqual([`${attempt}.0 started`]);
      const most = limits.attemptsPerLook + limits.attemptPagesPerLook;
      expect(two.asker.calls.length).toBeLessThanOrEqual(most);
    },
  );

  it("is found behind as many frames of lower ones as a run may have, and behind junk", async () => {
    for (let seq = 0; seq < 2 * limits.listPageKeys; seq += 1)
      two.store.plant(framesKeyOf(two.asker, two.doer, record, 2, seq), utf8("x"));
    const [folder = ""] = framesKeyOf(two.asker, two.doer, record, 3).split(/(?<=\/)(?=[^/]*$)/);
    for (let junk = 0; junk < 2 * limits.listPageKeys; junk += 1)
      two.store.plant(`${folder}0002x${String(junk).padStart(6, "0")}`, utf8("x"));
    plant({ attempt: 3, frames: [started(3)] });
    two.asker.calls.splice(0);
    expect(await events(reader.higherAttempt())).toEqual(["3.0 started"]);
    expect(two.asker.calls).toEqual([...Array(4).fill("list frames"), "get frames"]);
  });

  it("abandons the lower one", async () => {
    plant({ frames: [started(), says("a")] });
    await reader.next();
    plant({ attempt: 3, frames: [started(3)] });
    plant({ attempt: 2, frames: [started(2)] });
    expect(await events(reader.higherAttempt())).toEqual(["3.0 started"]);
    expect(reader.attempt).toBe(3);
    expect(reader.envelopes).toHaveLength(1);
  });

  it("that does not verify is passed over", async () => {
    plant({ attempt: 2, frames: [started(2)] });
    two.store.plant(framesKeyOf(two.asker, two.doer, record, 7), utf8("junk"));
    expect(await events(reader.higherAttempt())).toEqual(["2.0 started"]);
  });

  it("is none without its first envelope", async () => {
    plant({ attempt: 2, seq: 1, frames: [says("x")] });
    expect(await events(reader.higherAttempt())).toEqual([]);
  });
});

function asDigest(text: string) {
  if (!isDigest(text)) throw new Error(`${text} is no digest`);
  return text;
}

function isDigest(text: string): text is OutboxRecord["requestDigest"] {
  return text.length === 52;
}
