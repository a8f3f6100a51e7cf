import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import type { RunId } from "../../src/base/names.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { ensureOwner } from "../../src/mailbox/owner.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { sweepCancels, sweepFrames, sweepProbes } from "../../src/mailbox/sweep.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { digestOf, runOf } from "../support/receipts.ts";
import {
  codeOf,
  pass,
  readAll,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

let two: TwoGateways;
let asker: Mailbox;
beforeEach(() => {
  two = twoGateways();
  asker = two.asker.process();
});

function plantUnknown(runId: RunId = runOf("a")): string {
  const place = { to: two.asker.name, from: two.doer.name, attempt: 1, seq: 0 };
  const key = objectKey({ kind: "frames", ...place, runId, digest16: digest16Of(digestOf("a")) });
  two.store.plant(key, utf8("x"));
  return key;
}

async function framesLeft(): Promise<readonly string[]> {
  const { entries } = await two.store.list({ prefix: "asker/frames/", limit: 10 });
  return entries.map(({ key }) => key);
}

describe("sweeping frames", () => {
  it("deletes those that answer a closed run again, and not those of an open one", async () => {
    const closed = await two.asks(asker, "closed", { idempotencyKey: "closed" });
    await pass(two.clock, two.doer.process(), sayer("text"));
    await readAll(two.clock, asker, closed);
    expect(await framesLeft()).toEqual([]);
    // The very request comes again, as a lost response brings it about, and is answered again.
    two.store.plant(closed.key, closed.envelope);
    const open = await two.asks(asker, "open", { idempotencyKey: "open" });
    await pass(two.clock, two.doer.process(), sayer("text"));
    expect(await framesLeft()).toHaveLength(2);

    expect(await sweepFrames(asker, { dryRun: true })).toEqual({
      answered: 1,
      unknown: 0,
      left: 0,
    });
    expect(await framesLeft()).toHaveLength(2);
    expect(await sweepFrames(asker)).toEqual({ answered: 1, unknown: 0, left: 0 });
    const [left, ...more] = await framesLeft();
    expect(left).toContain(open.runId);
    expect(more).toEqual([]);
  });

  it("makes sure that a transcript outlasts the machine's power before its frames go", async () => {
    const record = await two.asks(asker, "hi");
    await pass(two.clock, two.doer.process(), sayer("text"));
    asker.state.sync = () => Promise.reject(new PosternError("STATE_BUSY", "made up by a test"));
    await readAll(two.clock, asker, record);
    expect(await framesLeft()).toHaveLength(1);
    expect(await sweepFrames(two.asker.process())).toMatchObject({ answered: 1 });
    two.asker.disk.losePower();
    expect(two.asker.outbox).toMatchObject([{ state: "closed" }]);
  });

  it("reports and leaves those of unknown runs, and names that no rule makes", async () => {
    plantUnknown();
    two.store.plant("asker/frames/junk", utf8("x"));
    two.clock.jump(limits.retentionMs + limits.skewMs);
    expect(await sweepFrames(asker)).toEqual({ answered: 0, unknown: 0, left: 2 });
    expect(two.asker.reports).toHaveLength(1);
    expect(await framesLeft()).toHaveLength(2);
  });

  it("deletes those of unknown runs once retention has passed, and junk never", async () => {
    plantUnknown();
    two.store.plant("asker/frames/junk", utf8("x"));
    two.clock.jump(limits.retentionMs + limits.skewMs + 1);
    expect(await sweepFrames(asker, { dryRun: true })).toEqual({
      answered: 0,
      unknown: 1,
      left: 1,
    });
    expect(await framesLeft()).toHaveLength(2);
    expect(await sweepFrames(asker)).toEqual({ answered: 0, unknown: 1, left: 1 });
    expect(await framesLeft()).toEqual(["asker/frames/junk"]);
  });

  it("leaves them under a clock that is behind", async () => {
    plantUnknown();
    two.clock.jump(2 * limits.retentionMs);
    await asker.state.notePass({ atMs: 1, code: null });
    two.clock.jump(-1);
    expect(await sweepFrames(asker)).toEqual({ answered: 0, unknown: 0, left: 1 });
  });

  it("leaves them to the state that serves the name: STATE_ELSEWHERE", async () => {
    const other = { ...two.asker.process(), state: two.doer.process().state };
    await ensureOwner(other);
    plantUnknown();
    two.clock.jump(2 * limits.retentionMs);
    expect(await codeOf(two.clock, sweepFrames(asker, { dryRun: true }))).toBe("STATE_ELSEWHERE");
    expect((await asker.state.owner()).elsewhere).toBe(false);
    expect(await codeOf(two.clock, sweepFrames(asker))).toBe("STATE_ELSEWHERE");
    expect(await framesLeft()).toHaveLength(1);
  });

  it("goes on to the end, or for as many pages as it is told", async () => {
    for (let number = 0; number <= limits.listPageKeys; number += 1)
      two.store.plant(`asker/frames/junk-${number}`, utf8("x"));
    expect((await sweepFrames(asker, { maxPages: 1 })).left).toBe(limits.listPageKeys);
    expect((await sweepFrames(asker)).left).toBe(limits.listPageKeys + 1);
    expect((await sweepFrames(asker, { signal: AbortSignal.abort() })).left).toBe(0);
  });
});

describe("sweeping cancels", () => {
  it("deletes what has nothing left to stop, and no request", async () => {
    const doer = two.doer.process();
    const ended = await two.asks(asker, "ended", { idempotencyKey: "ended" });
    await pass(two.clock, doer, sayer());
    await cancelRun(asker, ended.runId);
    const waits = await two.asks(asker, "waits", { idempotencyKey: "waits" });
    await cancelRun(asker, waits.runId);
    expect(await sweepCancels(doer, { dryRun: true })).toBe(1);
    expect(await two.keys("doer/inbox/")).toHaveLength(3);
    expect(await sweepCancels(doer)).toBe(1);
    const left = await two.keys("doer/inbox/");
    expect(left).toHaveLength(2);
    expect(left.every((key) => key.includes(waits.runId))).toBe(true);
    two.clock.jump(limits.maxTtlMs + 3 * limits.skewMs + 1);
    expect(await sweepCancels(doer)).toBe(1);
    expect(await two.keys("doer/inbox/")).toEqual([waits.key]);
  });
});

describe("sweeping probes", () => {
  it("deletes own ones that are left over, and nobody else's", async () => {
    const id = "a".repeat(26);
    for (const key of [`asker/probe/${id}`, "asker/probe/junk", `doer/probe/${id}`])
      two.store.plant(key, utf8("x"));
    two.clock.jump(limits.staleProbeMs + limits.skewMs);
    expect(await sweepProbes(asker)).toBe(0);
    two.clock.jump(1);
    expect(await sweepProbes(asker, { dryRun: true })).toBe(1);
    expect(await sweepProbes(asker)).toBe(1);
    const { entries } = await two.store.list({ prefix: "", limit: 10 });
    expect(entries.map(({ key }) => key)).toEqual(["asker/probe/junk", `doer/probe/${id}`]);
  });
});
