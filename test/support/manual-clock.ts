import type { Clock } from "../../src/base/clock.ts";

/** A clock that stands still until it is set or slept on: a sleep takes no time but moves it. */
export class ManualClock implements Clock {
  readonly slept: number[] = [];
  #now: number;

  constructor(now = 1_800_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.advance(ms);
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}
