import { SeededRandom } from "./seeded-random.ts";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** When the simulated world begins: 2026-01-01T00:00:00Z. */
const beginningMs = Date.UTC(2026, 0, 1);

/**
 * Virtual time and everything that is waiting for it. One event happens at a time, in an order that only the
 * seed decides; between two events all promises that can go on do so.
 */
export class World {
  readonly random: SeededRandom;
  readonly trace: string[] = [];
  readonly violations: string[] = [];
  #nowMs = beginningMs;
  #order = 0;
  readonly #events: Event[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Milliseconds since the beginning. */
  get elapsedMs(): number {
    return this.#nowMs - beginningMs;
  }

  schedule(delayMs: number, run: () => void): void {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    const behind = this.#events.findLastIndex((other) => other.atMs <= event.atMs);
    this.#events.splice(behind + 1, 0, event);
  }

  note(actor: string, what: string): void {
    const seconds = (this.elapsedMs / 1000).toFixed(3).padStart(12);
    this.trace.push(`${seconds} ${actor.padEnd(6)} ${what}`);
  }

  /** Something that must never happen has happened. */
  violate(promise: string, what: string): void {
    this.violations.push(`${promise}: ${what}`);
    this.note("!!!", `${promise}: ${what}`);
  }

  /** Lets everything happen that is due within `durationMs`. */
  async pass(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    await settlePromises();
    for (;;) {
      const [event] = this.#events;
      if (event === undefined || event.atMs > untilMs) break;
      this.#events.shift();
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      event.run();
      await settlePromises();
    }
    this.#nowMs = untilMs;
  }
}

/** Microtasks run to exhaustion before the next macrotask. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
