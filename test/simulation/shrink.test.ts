import { describe, expect, it } from "vitest";
import type { Outcome } from "./scenario.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";
import { storyOf } from "./story.ts";

const counts = { starts: 0, terminals: 0, closed: 0, conflicts: 0 };
const everything = Array.from({ length: 100 }, (_, count) => `trouble ${count}`);

/** A world that breaks a promise where these troubles meet. */
function worldOf(...needed: readonly string[]) {
  return (only: ReadonlySet<string>): Promise<Outcome> => {
    const happened = everything.filter((name) => only.has(name));
    const isBroken = needed.every((name) => only.has(name));
    const violations = isBroken ? [`promise 1: after ${happened.length} of them`] : [];
    return Promise.resolve({ seed: 1, trace: [], story: [], violations, happened, counts });
  };
}

describe("a failing seed is shrunk", () => {
  it.each([
    [["trouble 41"]],
    [["trouble 3", "trouble 97"]],
    [["trouble 0", "trouble 1", "trouble 50", "trouble 99"]],
  ])("to the troubles that it takes (%j)", async (needed) => {
    const run = worldOf(...needed);
    const smallest = await shrink(await run(new Set(everything)), run);
    expect(smallest.happened).toEqual(needed);
    expect(smallest.violations).toHaveLength(1);
  });

  it("in a world in which each trouble can be left out without changing what the others are", async () => {
    const whole = await simulate(7, { traced: false });
    const only = new Set(whole.happened.filter((name) => !name.includes("crash")));
    const less = await simulate(7, { traced: false, only });
    expect(whole.happened.length).toBeGreaterThan(50);
    expect(less.happened.every((name) => only.has(name))).toBe(true);
    const nothing = await simulate(7, { only: new Set() });
    expect(nothing).toMatchObject({ happened: [], violations: [], counts });
  });
});

it("a story tells of the run that it is about, by a short name, and ends with what was broken", () => {
  const [one, other] = ["a".repeat(52), "b".repeat(52)];
  const story = [`asks ${one}`, `asks ${other}`, "loses power", `!!! ${other} ran twice`, "later"];
  const violations = [`promise 1: ${other} ran twice`];
  const outcome = { seed: 1, trace: [], story, violations, happened: [], counts };
  expect(storyOf(outcome)).toBe("asks run-1\nloses power\n!!! run-1 ran twice");
});
