import { expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { Asker } from "../../src/gateway/asker.ts";
import { Troubles } from "../../src/gateway/troubles.ts";
import { plantFrames, says, started } from "../support/forged.ts";
import { twoGateways } from "../support/two-gateways.ts";

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
