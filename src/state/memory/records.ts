import type { Commit, Meta, Records } from "../records.ts";
import { OpenDisk, type MemoryContent } from "./content.ts";
import { MemoryOutbox } from "./outbox.ts";
import { MemoryQuarantine } from "./quarantine.ts";
import { MemoryReceipts } from "./receipts.ts";
import { MemoryTroubles } from "./troubles.ts";

interface Disk {
  readonly content: MemoryContent;
  /** Remembers what is durable, before something relaxed comes on top of it. */
  keepDurable(): void;
  /** All there is is durable now. */
  sync(): void;
}

/** Steps look before they write and are never interleaved, so nothing has to be rolled back here. */
export class MemoryRecords implements Records {
  readonly receipts: MemoryReceipts;
  readonly outbox: MemoryOutbox;
  readonly quarantine: MemoryQuarantine;
  readonly troubles: MemoryTroubles;
  readonly #disk: Disk;
  readonly #open: OpenDisk;

  constructor(disk: Disk) {
    const open = new OpenDisk(disk);
    this.receipts = new MemoryReceipts(open);
    this.outbox = new MemoryOutbox(open);
    this.quarantine = new MemoryQuarantine(open);
    this.troubles = new MemoryTroubles(open);
    this.#disk = disk;
    this.#open = open;
  }

  get dirty(): boolean {
    return this.#open.dirty;
  }

  read<T>(step: () => T): T {
    return step();
  }

  write<T>(step: () => T, commit: Commit): T {
    this.#open.dirty = false;
    if (commit === "relaxed") this.#disk.keepDurable();
    const answer = step();
    if (commit === "durable" && this.#open.dirty) this.#disk.sync();
    return answer;
  }

  async settled(): Promise<void> {}

  async sync(): Promise<void> {
    this.#disk.sync();
  }

  close(): void {}

  meta(): Meta {
    return this.#open.content.meta;
  }

  putMeta(meta: Meta): void {
    this.#open.changed().meta = meta;
  }

  raiseClock(nowMs: number): void {
    const { meta } = this.#open.content;
    if (nowMs > meta.highestClockMs) this.putMeta({ ...meta, highestClockMs: nowMs });
  }

  hasNonce(nonce: string): boolean {
    return this.#open.content.nonces.has(nonce);
  }

  putNonce(nonce: string): void {
    this.#open.changed().nonces.add(nonce);
  }

  deleteNonces(): void {
    this.#open.changed().nonces.clear();
  }

  version(document: string): number | undefined {
    return this.#open.content.versions.get(document);
  }

  putVersion(document: string, version: number): void {
    this.#open.changed().versions.set(document, version);
  }

  lastNumber(series: string): number | undefined {
    return this.#open.content.series.get(series);
  }

  putLastNumber(series: string, last: number): void {
    this.#open.changed().series.set(series, last);
  }
}
