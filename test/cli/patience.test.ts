import { describe, expect, test } from "vitest";
import { Patience } from "../../src/cli/patience.ts";
import type { Clock } from "../../src/base/clock.ts";
import { rejectionCode } from "../support/rejection.ts";

const never = new AbortController().signal;

/** A clock on which time passes only by being slept through, at most an hour at a time. */
function steppingClock() {
  const slept: number[] = [];
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs,
    sleep: async (ms) => {
      slept.push(ms);
      nowMs += ms;
    },
  };
  return { clock, slept };
}

function endless(): Promise<never> {
  return Promise.withResolvers<never>().promise;
}

/** A clock on which no time passes. */
const stillClock: Clock = { now: () => 0, sleep: endless };

describe("patience", () => {
  test("hands on what comes in time, and what fails", async () => {
    using patience = new Patience(stillClock, 1000, never);
    expect(await patience.wait(Promise.resolve("in time"))).toBe("in time");
    await expect(patience.wait(Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  });

  test("ends with WAIT_TIMEOUT when the time is up, however long that is", async () => {
    const { clock, slept } = steppingClock();
    using patience = new Patience(clock, (5 * 3_600_000) / 2, never);
    expect(await rejectionCode(patience.wait(endless()))).toBe("WAIT_TIMEOUT");
    expect(slept).toEqual([3_600_000, 3_600_000, 1_800_000]);
    expect(patience.signal.aborted).toBe(true);
  });

  test("ends with CANCELLED at an interruption, also one of before", async () => {
    const interruption = new AbortController();
    using patience = new Patience(stillClock, undefined, interruption.signal);
    const waiting = rejectionCode(patience.wait(endless()));
    interruption.abort();
    expect(await waiting).toBe("CANCELLED");
    using late = new Patience(stillClock, undefined, interruption.signal);
    expect(await rejectionCode(late.wait(endless()))).toBe("CANCELLED");
  });
});
