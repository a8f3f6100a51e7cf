import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import type { Clock } from "../../src/base/clock.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { poll, type PollReport } from "../../src/gateway/poll.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import type { JsonValue } from "../../src/protocol/fields.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { framesKeyOf } from "../support/forged.ts";
import type { SteppedClock } from "../support/stepped-clock.ts";
import {
  hanger,
  pass,
  plainGrants,
  readAll,
  routes,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

let two: TwoGateways;
let asker: Mailbox;
let doer: Mailbox;
beforeEach(() => {
  two = twoGateways();
  asker = two.asker.process();
  doer = two.doer.process();
});

/** The same clock set by so much: its sleeps last as long as before. */
function setClock(clock: SteppedClock): Clock & { aheadMs: number } {
  return {
    aheadMs: 0,
    now() {
      return clock.now() + this.aheadMs;
    },
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
}

/** How the asker is told that a run ended. */
async function endOf(record: OutboxRecord): Promise<unknown> {
  const { followed } = await readAll(two.clock, asker, record);
  return followed.status === "closed" ? followed.terminal : followed.status;
}

const failing = (error: Error): Handler => ({
  run: async () => {
    throw error;
  },
});
const returning = (result: JsonValue): Handler => ({ run: async () => ({ result }) });

describe("a run", () => {
  it("tells what its handler says, in order, and how it ended", async () => {
    const record = await two.asks(asker, "hi");
    await pass(two.clock, doer, sayer("a", "b"));
    const { frames, text } = await readAll(two.clock, asker, record);
    expect(frames.map(({ event }) => event)).toEqual([
      "started",
      "textDelta",
      "textDelta",
      "terminal",
    ]);
    expect(text).toBe("ab");
    expect(two.asker.outbox[0]?.terminal).toEqual({ status: "succeeded", result: "done" });
  });

  it("commits the outcome before anything of the end is put", async () => {
    await two.asks(asker, "hi");
    two.doer.trouble = ({ operation, name }) => {
      if (operation === "put" && name.includes("/frames/")) {
        expect(two.doer.onlyReceipt).toMatchObject({ state: "ended", starts: 1 });
      }
      return undefined;
    };
    await pass(two.clock, doer);
    expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(true);
  });
});

describe("a handler that fails", () => {
  it.each([
    ["as handlers do", new PosternError("HANDLER_FAILED", "out of paper"), "HANDLER_FAILED"],
    ["unexpectedly, which tells nothing of it", new Error("secret"), "HANDLER_FAILED"],
  ])("%s ends the run `failed`", async (_what, error, code) => {
    const record = await two.asks(asker, "hi");
    await pass(two.clock, doer, failing(error));
    expect(await endOf(record)).toMatchObject({ status: "failed", error: { code } });
    expect(JSON.stringify(two.asker.outbox[0]?.terminal)).not.toContain("secret");
  });

  it("with a message that breaks off within a character still ends", async () => {
    const record = await two.asks(asker, "hi");
    const message = `${"x".repeat(limits.maxErrorMessageBytes / 4 - 1)}${"\u{1f4a5}".repeat(9)}`;
    await pass(two.clock, doer, failing(new PosternError("HANDLER_FAILED", message)));
    expect(await endOf(record)).toMatchObject({ status: "failed" });
  });
});

describe("a result that no envelope could carry fails the run, and the run still ends", () => {
  const nested = (levels: number): JsonValue => (levels === 0 ? 1 : [nested(levels - 1)]);
  it.each<[string, JsonValue]>([
    ["too large", "x".repeat(limits.maxFrameBytes)],
    ["too deep for the frames around it", nested(limits.maxCborDepth - 2)],
    ["of too many items", Array.from({ length: limits.maxCborItems }, () => 0)],
    ["no well-formed text", "\ud800"],
  ])("%s", async (_what, result) => {
    const record = await two.asks(asker, "hi");
    const { problems } = await pass(two.clock, doer, returning(result));
    expect(problems).toEqual([]);
    expect(await endOf(record)).toMatchObject({
      status: "failed",
      error: { code: "HANDLER_OUTPUT" },
    });
  });
});

describe("a handler at work is stopped", () => {
  const { handler } = hanger();
  let polling: Promise<PollReport>;
  let stop: AbortController;

  async function begin(more: { deadlineMs?: number; maxRunMs?: number; maxRuns?: number } = {}) {
    const { maxRunMs, maxRuns = Infinity, ...asked } = more;
    const record = await two.asks(asker, "hi", asked);
    stop = new AbortController();
    const route = routes(handler, maxRunMs === undefined ? {} : { maxRunMs });
    polling = poll(doer, { ...route, maxRuns, signal: stop.signal });
    await two.clock.advance(5000);
    expect(two.doer.onlyReceipt.state).toBe("running");
    return record;
  }

  it("by a cancel", async () => {
    const record = await begin();
    await cancelRun(asker, record.runId);
    await two.clock.until(polling, 5000);
    expect(await endOf(record)).toMatchObject({
      status: "cancelled",
      error: { code: "CANCELLED" },
    });
  });

  it("by its deadline", async () => {
    const record = await begin({ deadlineMs: 8000 });
    await two.clock.until(polling, 10_000);
    expect(await endOf(record)).toMatchObject({ status: "cancelled", error: { code: "DEADLINE" } });
  });

  it("by the longest time that its agent may take", async () => {
    const record = await begin({ maxRunMs: 8000 });
    await two.clock.until(polling, 10_000);
    expect(await endOf(record)).toMatchObject({ status: "cancelled", error: { code: "DEADLINE" } });
  });

  it.each([
    ["its deadline", { deadlineMs: 50 * minuteMs }],
    ["the longest time that its agent may take", { maxRunMs: 50 * minuteMs }],
  ])("by %s within a minute, where the machine slept meanwhile", async (_what, more) => {
    const set = setClock(two.clock);
    doer = { ...doer, clock: set };
    await begin(more);
    set.aheadMs = 49 * minuteMs;
    await two.clock.until(polling, 2 * minuteMs);
    expect(two.doer.onlyReceipt.outcome).toMatchObject({
      status: "cancelled",
      error: { code: "DEADLINE" },
    });
  });

  it.each([-1, 1])("by a cancel also where the clock is set by an hour: %d", async (way) => {
    const set = setClock(two.clock);
    doer = { ...doer, clock: set };
    const record = await begin({ maxRunMs: 3 * hourMs, maxRuns: 1 });
    set.aheadMs = way * hourMs;
    await cancelRun(asker, record.runId);
    await two.clock.until(polling, 5000);
    expect(two.doer.onlyReceipt.outcome?.error?.code).toBe("CANCELLED");
  });

  it.each([
    ["the key that signed the request is revoked", () => ({ revoked: true }), plainGrants],
    ["the grant is withdrawn", () => ({}), { kinds: [], agents: [] }],
  ])("when %s", async (_what, key, grants) => {
    const record = await begin();
    two.doer.trusts(two.asker, grants, key());
    await two.clock.until(polling, 5000);
    expect(await endOf(record)).toMatchObject({
      status: "interrupted",
      error: { code: "NOT_GRANTED" },
    });
  });

  it("by the gateway's own stop", async () => {
    const record = await begin();
    stop.abort();
    await two.clock.until(polling, 5000);
    expect(await endOf(record)).toMatchObject({
      status: "interrupted",
      error: { code: "INTERRUPTED" },
    });
  });
});

describe("a run that was taken over", () => {
  it("publishes nothing of its own any more", async () => {
    const record = await two.asks(asker, "hi");
    const hanging = hanger();
    const polling = poll(doer, routes(hanging.handler)).catch(() => undefined);
    await two.clock.advance(5000);
    two.doer.kill(doer);
    await pass(two.clock, two.doer.process());
    const before = await two.keys("asker/frames/");
    hanging.finish();
    await two.clock.until(polling);
    expect(await two.keys("asker/frames/")).toEqual(before);
    expect(await endOf(record)).toMatchObject({ status: "interrupted" });
    expect(hanging.starts()).toBe(1);
  });
});

describe("a store", () => {
  it("that is down while a run is at work delays its answer, and loses nothing", async () => {
    const record = await two.asks(asker, "hi");
    const hanging = hanger();
    const polling = poll(doer, routes(hanging.handler));
    await two.clock.advance(1000);
    two.doer.trouble = ({ name }) =>
      name.includes("/frames/") ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
    hanging.finish();
    await two.clock.advance(600_000);
    two.doer.trouble = () => undefined;
    await two.clock.until(polling);
    await pass(two.clock, two.doer.process());
    expect(await endOf(record)).toMatchObject({ status: "succeeded", result: "finished" });
    expect(hanging.starts()).toBe(1);
  });

  it("that holds other bytes where frames go ends the run under the next attempt", async () => {
    const record = await two.asks(asker, "hi");
    two.store.plant(framesKeyOf(two.asker, two.doer, record), utf8("not ours"));
    const hanging = hanger();
    const talking: Handler = {
      run: async (work, emit, signal) => {
        await emit({ event: "textDelta", payload: { text: "x".repeat(limits.frameFlushBytes) } });
        return hanging.handler.run(work, emit, signal);
      },
    };
    await pass(two.clock, doer, talking);
    expect(await endOf(record)).toMatchObject({
      status: "interrupted",
      error: { code: "INTERRUPTED" },
    });
    expect(two.doer.onlyReceipt.ended?.terminal?.attempt).toBe(2);
    expect(hanging.starts()).toBe(0);
  });
});
