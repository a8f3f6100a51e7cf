import { expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { Asker } from "../../src/gateway/asker.ts";
import { Troubles } from "../../src/gateway/troubles.ts";
import { plantFrames, says, started, succeeds } from "../support/forged.ts";
import { readAll, twoGateways } from "../support/two-gateways.ts";

const bounds = { minDelayMs: 1000, maxDelayMs: 60_000 };

it("looks ever more rarely for a run that thinks in silence past its expiry", async () => {
  const two = twoGateways();
  const box = two.asker.process();
  const record = await two.asks(box, "hi", { ttlMs: 60_000 });
  const { runId, requestDigest } = record;
  const at = two.clock.now();
  const frames = [started(), says("a")].map((frame) => ({ ...frame, at }));
  plantFrames(two, { runId, requestDigest, frames });
  const asker = new Asker(box, bounds, new Troubles(box));
  await asker.look();
  // Neither an answer nor time to wait for one would be left, had it not begun to answer.
  two.clock.jump(60_000 + 2 * limits.unknownGraceMs);
  let nextMs = 0;
  for (let looks = 0; looks < 20; looks += 1) {
    nextMs = await asker.look();
    two.clock.jump(nextMs);
  }
  expect(nextMs).toBeGreaterThanOrEqual((bounds.maxDelayMs * 3) / 4);
  expect((await box.state.outboxRecord(runId))?.state).toBe("open");
});

it("goes on with the other runs when retention takes one that it was about to look at", async () => {
  const two = twoGateways();
  const box = two.asker.process();
  const asks = (idempotencyKey: string) =>
    two.asks(box, "hi", { idempotencyKey, ttlMs: 60_000, deadlineMs: 60_000 });
  const old = await asks("old");
  await readAll(two.clock, box, old);
  two.clock.jump(limits.retentionMs + 1000);
  const late = await asks("late");
  await readAll(two.clock, box, late);
  await asks("open");
  const { runId, requestDigest } = late;
  plantFrames(two, { runId, requestDigest, frames: [started(), succeeds] });
  two.asker.trouble = () => {
    void two.asker.process().state.collect({ ...limits, limit: 10 });
    return undefined;
  };
  const eager = { ...box, random: { ...box.random, fraction: () => 0 } };
  const asker = new Asker(eager, bounds, new Troubles(box));
  await asker.look();
  expect(await box.state.outboxRecord(old.runId)).toBeUndefined();
  expect((await box.state.outboxRecord(late.runId))?.state).toBe("closed");
  expect(asker.takeProblems()).toEqual([]);
});

it("comes to every run, however many are open before it that nothing comes of", async () => {
  const two = twoGateways();
  const box = two.asker.process();
  const waits = { ttlMs: 60_000, deadlineMs: limits.retentionMs };
  for (let index = 0; index < limits.askedPerPass; index += 1)
    await two.asks(box, "hi", { idempotencyKey: `${index}`, ...waits });
  two.clock.jump(120_000);
  const { runId, requestDigest } = await two.asks(box, "hi", { idempotencyKey: "last", ...waits });
  plantFrames(two, { runId, requestDigest, frames: [started(), succeeds] });
  const state = async () => (await box.state.outboxRecord(runId))?.state;
  for (let passes = 0; passes < 3 && (await state()) === "open"; passes += 1)
    await new Asker(box, bounds, new Troubles(box)).look();
  expect(await state()).toBe("closed");
});
