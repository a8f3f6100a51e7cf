import { randomNamed, SeededRandom } from "./seeded-random.ts";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export interface WorldOptions {
  /** Whether each operation is written down: that takes time, and is wanted of single seeds. */
  readonly traced?: boolean;
  /** The only troubles and doings that may happen; without it, all that the seed has in store. */
  readonly only?: ReadonlySet<string>;
  /** Whether time ends once a promise is broken. */
  readonly stopsWhenBroken?: boolean;
}

/** When the simulated world begins: 2026-01-01T00:00:00Z. */
const beginningMs = Date.UTC(2026, 0, 1);

/**
 * Virtual time and everything that is waiting for it. One event happens at a time, in an order that only the
 * seed decides; between two events all promises that can go on do so.
 */
export class World {
  readonly seed: number;
  /** For what is drawn before time begins. */
  readonly random: SeededRandom;
  readonly traced: boolean;
  /** Every operation; empty unless traced. */
  readonly trace: string[] = [];
  /** What a person would tell of it; empty unless traced. */
  readonly story: string[] = [];
  readonly violations: string[] = [];
  /** The names of all that happened and could have been left out, in order. */
  readonly happened: string[] = [];
  readonly #only: ReadonlySet<string> | undefined;
  readonly #stopsWhenBroken: boolean;
  #nowMs = beginningMs;
  #order = 0;
  /** A heap: what comes first is at 0, and what comes after `index` at 2 * index + 1 and + 2. */
  readonly #events: Event[] = [];

  constructor(seed: number, { traced = true, only, stopsWhenBroken = false }: WorldOptions = {}) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
    this.traced = traced;
    this.#only = only;
    this.#stopsWhenBroken = stopsWhenBroken;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Milliseconds since the beginning. */
  get elapsedMs(): number {
    return this.#nowMs - beginningMs;
  }

  /** What is drawn for this name is the same whatever else happens. */
  randomOf(name: string): SeededRandom {
    return randomNamed(this.seed, name);
  }

  /** Asked right before something that could be left out happens, under a name that is the same in every try. */
  may(name: string): boolean {
    if (this.#only !== undefined && !this.#only.has(name)) return false;
    this.happened.push(name);
    return true;
  }

  schedule(delayMs: number, run: () => void): void {
    const events = this.#events;
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    let index = events.length;
    events.push(event);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const other = events[above];
      if (other === undefined || !isBefore(event, other)) break;
      events[index] = other;
      index = above;
    }
    events[index] = event;
  }

  /** Something that could be left out, at a moment counted from now. */
  plan(delayMs: number, name: string, run: () => void): void {
    this.schedule(delayMs, () => {
      if (this.may(name)) run();
    });
  }

  note(actor: string, what: string): void {
    if (this.traced) this.trace.push(this.#line(actor, what));
  }

  /** Notes what belongs to the story as well. */
  tell(actor: string, what: string): void {
    if (!this.traced) return;
    const line = this.#line(actor, what);
    this.trace.push(line);
    this.story.push(line);
  }

  #line(actor: string, what: string): string {
    const seconds = (this.elapsedMs / 1000).toFixed(3).padStart(12);
    return `${seconds} ${actor.padEnd(6)} ${what}`;
  }

  /** Something that must never happen has happened. */
  violate(promise: string, what: string): void {
    this.violations.push(`${promise}: ${what}`);
    this.tell("!!!", `${promise}: ${what}`);
  }

  /** Whether nothing more is going to happen. */
  get isOver(): boolean {
    return this.#stopsWhenBroken && this.violations.length > 0;
  }

  /** Lets everything happen that is due within `durationMs`. */
  async pass(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    await settlePromises();
    while (!this.isOver) {
      const [event] = this.#events;
      if (event === undefined || event.atMs > untilMs) break;
      this.#dropFirst();
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      event.run();
      await settlePromises();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #dropFirst(): void {
    const events = this.#events;
    const last = events.pop();
    if (last === undefined || events.length === 0) return;
    let index = 0;
    for (;;) {
      const below = 2 * index + 1;
      const [left, right] = [events[below], events[below + 1]];
      const isLeft = right === undefined || (left !== undefined && isBefore(left, right));
      const first = isLeft ? left : right;
      if (first === undefined || !isBefore(first, last)) break;
      events[index] = first;
      index = isLeft ? below : below + 1;
    }
    events[index] = last;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** All microtasks run before the next tick; that needs no turn of the event loop. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
