import { Scenario, type Outcome } from "./scenario.ts";
import type { WorldOptions } from "./world.ts";

/** Runs one seed and returns what came of it. The same seed gives the same trace, to the letter. */
export function simulate(seed: number, options: WorldOptions = {}): Promise<Outcome> {
  return new Scenario(seed, options).run();
}

export interface ManyOutcomes {
  readonly seeds: number;
  readonly starts: number;
  readonly terminals: number;
  /** The first seed that broke a promise, untraced; the run stops there. */
  readonly broken: Outcome | undefined;
}

export interface ManyOptions {
  /** Every so many seeds only: the others are somebody else's. */
  readonly step?: number;
  /** Told after each seed how many are done. */
  readonly onSeed?: (done: number) => void;
}

/** Runs the seeds from `first` on that are below `first` + `count`, until one breaks a promise. */
export async function simulateMany(
  first: number,
  count: number,
  { step = 1, onSeed }: ManyOptions = {},
): Promise<ManyOutcomes> {
  let [seeds, starts, terminals] = [0, 0, 0];
  for (let seed = first; seed < first + count; seed += step) {
    const outcome = await simulate(seed, { traced: false });
    seeds += 1;
    starts += outcome.counts.starts;
    terminals += outcome.counts.terminals;
    if (outcome.violations.length > 0) return { seeds, starts, terminals, broken: outcome };
    onSeed?.(seeds);
  }
  return { seeds, starts, terminals, broken: undefined };
}
