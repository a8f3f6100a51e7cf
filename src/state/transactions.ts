import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import type { Commit, Meta, Records } from "./records.ts";

/** What a write begins from: what the state knows of itself is read first, then the clock, inside the transaction. */
export interface Moment {
  readonly meta: Meta;
  readonly nowMs: number;
}

/**
 * Takes the steps of a state one at a time, each as one transaction. Nobody is told what a loss of power could still
 * undo: neither who wrote it, nor who read it here.
 */
export class Transactions {
  readonly #records: Records;
  readonly #clock: Clock;
  #stepping = false;
  #closed = false;

  constructor(records: Records, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  async read<T>(step: (records: Records) => T): Promise<T> {
    const answer = this.#step(() => step(this.#records));
    await this.#records.settled();
    return answer;
  }

  /** Whatever a write changes, the highest clock value is committed with it. */
  async write<T>(
    step: (records: Records, moment: Moment) => T,
    commit: Commit = "durable",
  ): Promise<T> {
    const records = this.#records;
    const written = (): T => {
      const meta = records.meta();
      const nowMs = this.#clock.now();
      const answer = step(records, { meta, nowMs });
      if (records.dirty) records.raiseClock(nowMs);
      return answer;
    };
    const answer = this.#step(() => records.write(written, commit));
    await records.settled();
    return answer;
  }

  async sync(): Promise<void> {
    await this.#step(() => this.#records.sync());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Whoever waits for a step is told themselves.
    await this.#records.settled().catch(() => undefined);
    this.#records.close();
  }

  /** A step taken from within a deciding function would join, and end, the transaction it decides in. */
  #step<T>(run: () => T): T {
    if (this.#closed) throw new PosternError("INTERNAL", "the state was used after it was closed");
    if (this.#stepping)
      throw new PosternError("INTERNAL", "a step of the state was taken inside another one");
    this.#stepping = true;
    try {
      return run();
    } finally {
      this.#stepping = false;
    }
  }
}
