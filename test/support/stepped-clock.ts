import type { Clock } from "../../src/base/clock.ts";

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/**
 * A clock that moves only when it is told to: a sleep resolves when time has been advanced past it. `settle`
 * resolves once everything that can go on without the clock has done so.
 */
export class SteppedClock implements Clock {
  readonly #settle: () => Promise<void>;
  #nowMs: number;
  #sleepers: Sleeper[] = [];

  constructor(nowMs = Date.UTC(2030, 0, 1), settle = promisesSettled) {
    this.#nowMs = nowMs;
    this.#settle = settle;
  }

  now(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = { atMs: this.#nowMs + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      });
    });
  }

  /** Moves time, waking sleepers one moment after another; whatever they set off happens in its moment. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.#settle();
    for (;;) {
      const next = Math.min(...this.#sleepers.map(({ atMs }) => atMs));
      if (next > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, next);
      const due = this.#sleepers.filter(({ atMs }) => atMs <= this.#nowMs);
      this.#sleepers = this.#sleepers.filter(({ atMs }) => atMs > this.#nowMs);
      for (const { wake } of due) wake();
      await this.#settle();
    }
    this.#nowMs = untilMs;
  }

  /** Sets the time without waking anybody: a pause of the process, or a clock that was set. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Advances second by second until the promise settles; fails after `mostMs`. */
  async until<T>(promise: Promise<T>, mostMs = 3_600_000): Promise<T> {
    const end = { reached: false };
    const mark = (): void => {
      end.reached = true;
    };
    promise.then(mark, mark);
    await this.#settle();
    for (let passed = 0; !end.reached; passed += 1000) {
      if (passed > mostMs) throw new Error(`nothing came of it within ${mostMs} ms`);
      await this.advance(1000);
    }
    return promise;
  }
}

/** Promises that wait for each other alone are all settled before the event loop turns. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
