import { limits } from "../base/limits.ts";

export interface PaceBounds {
  /** Between two looks while there is work, in milliseconds. */
  readonly minDelayMs: number;
  /** Between two looks while there is none. */
  readonly maxDelayMs: number;
}

/** How often something is looked at: quickly after something was found, ever more slowly while nothing is. */
export class Pace {
  readonly #bounds: PaceBounds;
  #delayMs: number;

  constructor(bounds: PaceBounds) {
    this.#bounds = bounds;
    this.#delayMs = bounds.minDelayMs;
  }

  found(): void {
    this.#delayMs = this.#bounds.minDelayMs;
  }

  /** Slower from here on, at most as slow as `mostMs` says. */
  foundNothing(mostMs = Infinity): void {
    const { minDelayMs, maxDelayMs } = this.#bounds;
    const slower = Math.min(this.#delayMs * limits.paceFactor, maxDelayMs, mostMs);
    this.#delayMs = Math.max(minDelayMs, slower);
  }

  /** Until the next look, in whole milliseconds. `fraction` (0 to 1) spreads those who began together by a quarter. */
  delayMs(fraction: number): number {
    return Math.round(this.#delayMs * (1 - fraction / 4));
  }
}
