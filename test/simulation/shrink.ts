import type { Outcome } from "./scenario.ts";
import { simulate } from "./simulate.ts";

/** Runs the same seed with nothing but these doings and troubles. */
export type Run = (only: ReadonlySet<string>, traced: boolean) => Promise<Outcome>;

/** Tries that a search for a smaller story may take. */
const mostTries = 1500;

/**
 * The same seed with as little happening in it as still breaks the same promise in the same way: of the troubles and
 * doings that happened, ever smaller parts are left out, until none can be (Zeller and Hildebrandt, "Simplifying and
 * isolating failure-inducing input", ddmin). Deterministic. `whole` is the seed's outcome with all of it.
 */
export async function shrink(whole: Outcome, run: Run = runOf(whole)): Promise<Outcome> {
  const kind = kindOf(whole);
  let smallest = whole;
  let parts = 2;
  for (let tries = 0; tries < mostTries;) {
    const names = smallest.happened;
    if (names.length < 2) break;
    const size = Math.ceil(names.length / parts);
    let found: Outcome | undefined;
    for (let from = 0; from < names.length && found === undefined; from += size) {
      const only = new Set([...names.slice(0, from), ...names.slice(from + size)]);
      const outcome = await run(only, false);
      tries += 1;
      if (kindOf(outcome) === kind && outcome.happened.length < names.length) found = outcome;
    }
    if (found !== undefined) {
      smallest = found;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) {
      break;
    } else {
      parts = Math.min(names.length, 2 * parts);
    }
  }
  return run(new Set(smallest.happened), true);
}

function runOf({ seed }: Outcome): Run {
  return (only, traced) => simulate(seed, { only, traced, stopsWhenBroken: true });
}

/** What is the same of two violations, whatever run and process they are about; empty where there is none. */
function kindOf({ violations: [violation = ""] }: Outcome): string {
  return violation.replaceAll(/[a-z2-7]{52}|\S+#\S+|"(?:[^"\\]|\\.)*"|[0-9]+/g, "*").slice(0, 60);
}
