import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";

const dayMs = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test.each([1, 1000, 24 * dayMs, 25 * dayMs, 400 * dayMs])(
  "a sleep of %d ms lasts so long, also beyond what one timer can",
  async (ms) => {
    const state = { awake: false };
    void systemClock.sleep(ms).then(() => {
      state.awake = true;
    });
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(state.awake).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(state.awake).toBe(true);
  },
);

test("a long sleep ends at once when it is given up, and leaves no timer", async () => {
  const stop = new AbortController();
  const slept = systemClock.sleep(100 * dayMs, stop.signal);
  await vi.advanceTimersByTimeAsync(50 * dayMs);
  stop.abort();
  await slept;
  expect(vi.getTimerCount()).toBe(0);
});
