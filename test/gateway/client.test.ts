import { beforeEach, describe, expect, it } from "vitest";
import { PosternError } from "../../src/base/errors.ts";
import { call, cancel, follow, send, type Asking, type Call } from "../../src/gateway/client.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import { runOf } from "../support/receipts.ts";
import {
  codeOf,
  hanger,
  pass,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

const hi = { target: "doer/work", prompt: "hi", idempotencyKey: "k1" };

let two: TwoGateways;
let asking: Asking;
beforeEach(() => {
  two = twoGateways();
  asking = { mailbox: two.asker.process(), routes: new Map() };
});

async function framesOf(run: Call): Promise<PlacedFrame[]> {
  const frames: PlacedFrame[] = [];
  for await (const frame of run) frames.push(frame);
  return frames;
}

const eventsOf = async (run: Call): Promise<string[]> =>
  (await two.clock.until(framesOf(run))).map(({ event }) => event);

describe("a call", () => {
  it("yields the verified frames, and comes to the run's result", async () => {
    const run = await call(asking, hi);
    await pass(two.clock, two.doer.process(), sayer("a", "b"));
    expect(await eventsOf(run)).toEqual(["started", "textDelta", "textDelta", "terminal"]);
    expect(await run.result).toEqual({ status: "succeeded", result: "done" });
    expect(run.idempotencyKey).toBe("k1");
  });

  it("comes to its result without anybody reading frames, which can be read afterwards, and again", async () => {
    const run = await call(asking, hi);
    await pass(two.clock, two.doer.process(), sayer("a"));
    expect(await two.clock.until(run.result)).toMatchObject({ status: "succeeded" });
    expect(await eventsOf(run)).toEqual(await eventsOf(run));
    expect(await eventsOf(run)).toContain("textDelta");
  });

  it("of the same key and request is the same run", async () => {
    const first = await call(asking, hi);
    await pass(two.clock, two.doer.process());
    await two.clock.until(first.result);
    const again = await call(asking, hi);
    expect(again.runId).toBe(first.runId);
    expect(await two.clock.until(again.result)).toEqual(await first.result);
    expect(await codeOf(two.clock, call(asking, { ...hi, prompt: "other" }))).toBe(
      "IDEMPOTENCY_CONFLICT",
    );
  });

  it("that failed still has a result; it is the status that says so", async () => {
    const run = await call(asking, { ...hi, target: "doer/secret" });
    await pass(two.clock, two.doer.process());
    expect(await two.clock.until(run.result)).toMatchObject({
      status: "refused",
      error: { code: "NOT_GRANTED" },
    });
  });

  it("is given up when the signal aborts, with its reason; the run goes on and can be followed", async () => {
    const patience = new AbortController();
    const run = await call(asking, hi, { signal: patience.signal });
    const reading = framesOf(run);
    const reason = new PosternError("WAIT_TIMEOUT", "enough");
    patience.abort(reason);
    await expect(run.result).rejects.toBe(reason);
    await expect(reading).rejects.toBe(reason);
    await pass(two.clock, two.doer.process());
    const again = follow(asking, run.runId);
    expect(await two.clock.until(again.result)).toMatchObject({ status: "succeeded" });
  });

  it("can be cancelled", async () => {
    const { handler } = hanger();
    const run = await call(asking, hi);
    const passing = pass(two.clock, two.doer.process(), handler);
    await two.clock.advance(1000);
    await run.cancel();
    await passing;
    expect(await two.clock.until(run.result)).toMatchObject({
      status: "cancelled",
      error: { code: "CANCELLED" },
    });
  });

  it("that nobody answers in its time is unknown", async () => {
    const run = await call(asking, { ...hi, deadlineMs: 60_000 });
    expect(await codeOf(two.clock, run.result)).toBe("OUTCOME_UNKNOWN");
  });

  it("goes on as its store fails, and says so by its result", async () => {
    two.asker.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    const run = await call(asking, hi);
    expect(await codeOf(two.clock, run.result)).toBe("STORE_UNREACHABLE");
    expect(await codeOf(two.clock, framesOf(run))).toBe("STORE_UNREACHABLE");
    two.asker.trouble = () => undefined;
    const again = follow(asking, run.runId);
    await two.clock.advance(1000);
    await pass(two.clock, two.doer.process());
    expect(await two.clock.until(again.result)).toMatchObject({ status: "succeeded" });
  });

  it("asks for a prompt or for a tool, and for exactly one of them", async () => {
    const tool = { target: "doer/work", toolCall: { name: "usage", input: { path: "/" } } };
    expect((await call(asking, tool)).runId).toHaveLength(52);
    // @ts-expect-error: that is what the types are for.
    const both = call(asking, { ...tool, prompt: "hi" });
    expect(await codeOf(two.clock, both)).toBe("REQUEST_INVALID");
  });
});

describe("sending", () => {
  it("again what could not be put before it expired is EXPIRED, unless it was answered all the same", async () => {
    const brief = { ...hi, ttlMs: 60_000 };
    two.asker.trouble = () => ({ when: "after", code: "STORE_UNREACHABLE" });
    expect(await codeOf(two.clock, send(asking, brief))).toBe("STORE_UNREACHABLE");
    two.asker.trouble = () => undefined;
    await pass(two.clock, two.doer.process());
    two.clock.jump(120_000);
    expect(await codeOf(two.clock, send(asking, brief))).toBe("EXPIRED");
    const run = await call(asking, brief);
    expect(await two.clock.until(run.result)).toMatchObject({ status: "succeeded" });
    expect(await codeOf(two.clock, send(asking, brief))).toBe("fulfilled");
  });

  it("commits and puts the request, and waits for nothing", async () => {
    const { runId } = await send(asking, hi);
    expect(await two.keys("doer/inbox/")).toEqual([`doer/inbox/asker/${runId}`]);
  });

  it("commits nothing under a signal that has aborted", async () => {
    const signal = AbortSignal.abort(new PosternError("WAIT_TIMEOUT", "enough"));
    expect(await codeOf(two.clock, send(asking, hi, { signal }))).toBe("WAIT_TIMEOUT");
    expect(two.asker.outbox).toEqual([]);
  });
});

describe("what was not asked from here", () => {
  it("can be neither followed nor cancelled", async () => {
    expect(await codeOf(two.clock, follow(asking, runOf("z")).result)).toBe("RUN_UNKNOWN");
    expect(await codeOf(two.clock, cancel(asking, runOf("z")))).toBe("RUN_UNKNOWN");
  });
});
