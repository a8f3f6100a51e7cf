import type {
  BucketOverview,
  Quarantine,
  QuarantineEntry,
  QuarantineFilter,
  QuarantineHeld,
  QuarantineRef,
} from "../quarantine.ts";
import type { OpenDisk } from "./content.ts";
import { compare } from "./order.ts";

/** Quarantine entries in a map, by id. */
export class MemoryQuarantine implements Quarantine {
  readonly #disk: OpenDisk;

  constructor(disk: OpenDisk) {
    this.#disk = disk;
  }

  get(id: string): QuarantineEntry | undefined {
    return structuredClone(this.#disk.content.quarantine.get(id));
  }

  latest({ limit, bucket }: QuarantineFilter): QuarantineEntry[] {
    const found = this.#latest((entry) => bucket === undefined || entry.bucket === bucket);
    return structuredClone(found.slice(0, limit));
  }

  released(limit: number): QuarantineRef[] {
    const found = this.#latest(({ released }) => released);
    return found.slice(0, limit).map(({ id, key, size }) => ({ id, key, size }));
  }

  held(bucket: string): QuarantineHeld {
    const held = [...this.#disk.content.quarantine.values()].filter(
      (entry) => entry.bucket === bucket,
    );
    return {
      entries: held.length,
      bytes: held.reduce((sum, entry) => sum + (entry.bytes?.length ?? 0), 0),
    };
  }

  overview(): BucketOverview[] {
    const entries = [...this.#disk.content.quarantine.values()];
    return [...Map.groupBy(entries, ({ bucket }) => bucket)]
      .map(([bucket, held]) => ({
        bucket,
        entries: held.length,
        bytes: held.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0),
        released: held.filter(({ released }) => released).length,
      }))
      .toSorted((a, b) => compare(a.bucket, b.bucket));
  }

  old(beforeMs: number, limit: number): string[] {
    const old = [...this.#disk.content.quarantine.values()].filter(
      (entry) => entry.atMs < beforeMs,
    );
    old.sort((a, b) => a.atMs - b.atMs || compare(a.id, b.id));
    return old.slice(0, limit).map((entry) => entry.id);
  }

  put(entry: QuarantineEntry): void {
    this.#disk.changed().quarantine.set(entry.id, structuredClone(entry));
  }

  dateUntil(nowMs: number): void {
    const { quarantine } = this.#disk.changed();
    for (const [id, entry] of quarantine)
      if (entry.atMs > nowMs) quarantine.set(id, { ...entry, atMs: nowMs });
  }

  delete(id: string): void {
    this.#disk.changed().quarantine.delete(id);
  }

  /** The latest first. */
  #latest(accept: (entry: QuarantineEntry) => boolean): QuarantineEntry[] {
    const found = [...this.#disk.content.quarantine.values()].filter(accept);
    return found.toSorted((a, b) => b.atMs - a.atMs || compare(a.id, b.id));
  }
}
