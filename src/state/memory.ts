import type { Clock } from "../base/clock.ts";
import { copyOfContent, newContent, type MemoryContent } from "./memory/content.ts";
import { MemoryRecords } from "./memory/records.ts";
import type { State } from "./state.ts";
import { RecordState } from "./steps.ts";

/** Everything that a memory state held at one moment; opaque, and good for any number of restores. */
export interface MemorySnapshot {
  readonly content: MemoryContent;
}

/**
 * What a file is to the sqlite driver: it outlives the states that are opened on it, as many at once as
 * there are processes, and it can be copied and put back as homes are.
 */
export class MemoryDisk {
  #content: MemoryContent;
  /** What would outlast a loss of power; undefined while all does. */
  #durable: MemoryContent | undefined;

  /** An empty disk made at `clock`, or one that holds what another held. */
  constructor(origin: { readonly clock: Clock } | MemorySnapshot) {
    this.#content =
      "clock" in origin ? newContent(origin.clock.now()) : copyOfContent(origin.content);
  }

  /** The records themselves, for the states on this disk. */
  get content(): MemoryContent {
    return this.#content;
  }

  snapshot(): MemorySnapshot {
    return { content: copyOfContent(this.#content) };
  }

  keepDurable(): void {
    this.#durable ??= copyOfContent(this.#content);
  }

  sync(): void {
    this.#durable = undefined;
  }

  /** Loses what was relaxed, under the states that are open on it as well. */
  losePower(): void {
    if (this.#durable !== undefined) this.restore({ content: this.#durable });
  }

  /** Puts an earlier moment back, under the states that are open on it as well. */
  restore(snapshot: MemorySnapshot): void {
    this.#content = copyOfContent(snapshot.content);
    this.#durable = undefined;
  }
}

/** A state that lives as long as its disk does: for tests and the simulation, with the rules of every driver. */
export function openMemoryState(options: {
  readonly clock: Clock;
  readonly disk?: MemoryDisk;
}): State {
  const disk = options.disk ?? new MemoryDisk(options);
  return new RecordState(new MemoryRecords(disk), options.clock);
}
