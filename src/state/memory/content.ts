import type { RunId } from "../../base/names.ts";
import type { Receipt } from "../../protocol/receipt.ts";
import type { StoredOutbox, Transcript } from "../outbox.ts";
import type { QuarantineEntry } from "../quarantine.ts";
import type { Meta } from "../records.ts";
import { newMeta } from "../rules.ts";
import type { Trouble } from "../troubles.ts";

/** All records of one state. A record is never changed in place, and is copied on its way in and out. */
export interface MemoryContent {
  meta: Meta;
  readonly receipts: Map<string, Receipt>;
  readonly outbox: Map<RunId, StoredOutbox>;
  readonly transcripts: Map<RunId, Transcript>;
  readonly nonces: Set<string>;
  readonly quarantine: Map<string, QuarantineEntry>;
  readonly troubles: Map<string, Trouble>;
  readonly versions: Map<string, number>;
  readonly series: Map<string, number>;
}

export function newContent(nowMs: number): MemoryContent {
  return {
    meta: newMeta(nowMs),
    receipts: new Map(),
    outbox: new Map(),
    transcripts: new Map(),
    nonces: new Set(),
    quarantine: new Map(),
    troubles: new Map(),
    versions: new Map(),
    series: new Map(),
  };
}

export function copyOfContent(content: MemoryContent): MemoryContent {
  return {
    meta: content.meta,
    receipts: new Map(content.receipts),
    outbox: new Map(content.outbox),
    transcripts: new Map(content.transcripts),
    nonces: new Set(content.nonces),
    quarantine: new Map(content.quarantine),
    troubles: new Map(content.troubles),
    versions: new Map(content.versions),
    series: new Map(content.series),
  };
}

/** A disk as one process has it open: it knows whether the process has written. */
export class OpenDisk {
  readonly #disk: { readonly content: MemoryContent };
  dirty = false;

  constructor(disk: { readonly content: MemoryContent }) {
    this.#disk = disk;
  }

  /** What lies on it now; another content once it was restored. */
  get content(): MemoryContent {
    return this.#disk.content;
  }

  /** The same, for who is about to write. */
  changed(): MemoryContent {
    this.dirty = true;
    return this.#disk.content;
  }
}
