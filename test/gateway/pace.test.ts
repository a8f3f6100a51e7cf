import { describe, expect, it } from "vitest";
import { Pace } from "../../src/gateway/pace.ts";

const bounds = { minDelayMs: 1000, maxDelayMs: 30_000 };

function idle(pace: Pace, looks: number, mostMs?: number): number {
  for (let look = 0; look < looks; look += 1) pace.foundNothing(mostMs);
  return pace.delayMs(0);
}

describe("a pace", () => {
  it("begins quick, slows down to its longest delay, and is quick again after work", () => {
    const pace = new Pace(bounds);
    expect(pace.delayMs(0)).toBe(1000);
    expect(idle(pace, 1)).toBe(1500);
    expect(idle(pace, 100)).toBe(30_000);
    pace.found();
    expect(pace.delayMs(0)).toBe(1000);
  });

  it("stays within a tighter bound for as long as that is asked, and not below its shortest delay", () => {
    const pace = new Pace(bounds);
    expect(idle(pace, 100, 5000)).toBe(5000);
    expect(idle(pace, 100)).toBe(30_000);
    expect(idle(pace, 1, 5000)).toBe(5000);
    expect(idle(pace, 1, 10)).toBe(1000);
  });

  it("is spread over a quarter of the delay", () => {
    expect(new Pace(bounds).delayMs(1)).toBe(750);
  });
});
