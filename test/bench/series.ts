import { performance } from "node:perf_hooks";
import { SeededRandom } from "../simulation/seeded-random.ts";

export interface Spread {
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
}

/** Something that is measured once in each round. */
export class Series {
  readonly #measure: (round: number) => Promise<number>;
  readonly #taken: number[] = [];

  /** `measure` resolves to milliseconds: its own, or what `timed` says of all it did. */
  constructor(measure: (round: number) => Promise<number>) {
    this.#measure = measure;
  }

  get ms(): Spread {
    return spreadOf(this.#taken);
  }

  /** By how much it took longer than the other, round by round. */
  over(other: Series): Spread {
    return spreadOf(this.#taken.map((ms, round) => ms / (other.#taken[round] ?? Number.NaN)));
  }

  minus(other: Series): Spread {
    return spreadOf(this.#taken.map((ms, round) => ms - (other.#taken[round] ?? Number.NaN)));
  }

  async take(round: number): Promise<void> {
    this.#taken.push(await this.#measure(round));
  }

  forget(): void {
    this.#taken.length = 0;
  }
}

/**
 * Measures all of them in every round, each time in another order, after some rounds to warm up: whatever else
 * the machine does meanwhile, and whatever one leaves to the next, all have alike.
 */
export async function inTurn(rounds: number, series: readonly Series[]): Promise<void> {
  const random = new SeededRandom(1);
  const warmUps = Math.min(10, Math.floor(rounds / 4));
  for (let round = -warmUps; round < rounds; round += 1) {
    if (round === 0) for (const one of series) one.forget();
    const places = new Map(series.map((one) => [one, random.fraction()]));
    const order = series.toSorted((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
    for (const one of order) await one.take(round);
  }
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** Does `work` so many times, at most `limit` of them at once. */
export async function atOnce(
  limit: number,
  times: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < times) await work(next++);
  };
  await Promise.all(Array.from({ length: limit }, one));
}

/** With linear interpolation between neighbours. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number => {
    const place = part * (sorted.length - 1);
    const below = sorted[Math.floor(place)] ?? Number.NaN;
    const above = sorted[Math.ceil(place)] ?? Number.NaN;
    return below + (above - below) * (place - Math.floor(place));
  };
  return { median: at(0.5), p10: at(0.1), p90: at(0.9) };
}

export const spreadColumns: readonly string[] = ["median", "p10", "p90"];

export function spreadCells({ median, p10, p90 }: Spread): string[] {
  return [median, p10, p90].map((value) => value.toFixed(2));
}

export function msCell({ median }: Spread): string {
  return median.toFixed(1);
}
