import type { Trouble, Troubles } from "../troubles.ts";
import type { OpenDisk } from "./content.ts";
import { compare } from "./order.ts";

/** Troubles in a map, by subject. */
export class MemoryTroubles implements Troubles {
  readonly #disk: OpenDisk;

  constructor(disk: OpenDisk) {
    this.#disk = disk;
  }

  get(subject: string): Trouble | undefined {
    return structuredClone(this.#disk.content.troubles.get(subject));
  }

  all(): Trouble[] {
    const all = [...this.#disk.content.troubles.values()];
    all.sort((a, b) => b.atMs - a.atMs || compare(a.subject, b.subject));
    return structuredClone(all);
  }

  count(): number {
    return this.#disk.content.troubles.size;
  }

  old(beforeMs: number, limit: number): string[] {
    const old = [...this.#disk.content.troubles.values()].filter(({ atMs }) => atMs < beforeMs);
    old.sort((a, b) => a.atMs - b.atMs || compare(a.subject, b.subject));
    return old.slice(0, Math.max(0, limit)).map(({ subject }) => subject);
  }

  put(trouble: Trouble): void {
    this.#disk.changed().troubles.set(trouble.subject, structuredClone(trouble));
  }

  dateUntil(nowMs: number): void {
    const { troubles } = this.#disk.changed();
    for (const [subject, trouble] of troubles)
      if (trouble.atMs > nowMs) troubles.set(subject, { ...trouble, atMs: nowMs });
  }

  delete(subject: string): void {
    this.#disk.changed().troubles.delete(subject);
  }
}
