import { Scenario, type Outcome } from "./scenario.ts";

/** Runs one seed and returns what came of it. The same seed gives the same trace, to the letter. */
export function simulate(seed: number): Promise<Outcome> {
  return new Scenario(seed).run();
}

export interface ManyOutcomes {
  readonly seeds: number;
  readonly starts: number;
  readonly terminals: number;
  /** The first seed that broke a promise; the run stops there. */
  readonly broken: Outcome | undefined;
}

/** Runs `count` seeds, from `first` on. */
export async function simulateMany(first: number, count: number): Promise<ManyOutcomes> {
  let starts = 0;
  let terminals = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    const outcome = await simulate(seed);
    starts += outcome.counts.starts;
    terminals += outcome.counts.terminals;
    if (outcome.violations.length > 0)
      return { seeds: seed - first + 1, starts, terminals, broken: outcome };
  }
  return { seeds: count, starts, terminals, broken: undefined };
}
