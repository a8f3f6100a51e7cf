import { sha256, toBase32, utf8 } from "../base/bytes.ts";

/** What a state keeps of objects that were refused. */
export interface QuarantineSteps {
  /**
   * Keeps refused bytes, or says why not. The same key and bytes are kept once; where they stand released
   * they are refused anew: that entry takes this `code`, `detail` and `atMs`, and is `kept` again.
   */
  quarantine(
    entry: NewQuarantineEntry,
    budget: QuarantineBudget,
  ): Promise<"kept" | "known" | "over-budget">;
  /** The latest first. */
  quarantined(filter: QuarantineFilter): Promise<readonly QuarantineEntry[]>;
  quarantinedEntry(id: string): Promise<QuarantineEntry | undefined>;
  /**
   * Marks an entry for admission; it counts against its budget and ages as before. `not-kept` when its bytes
   * were left in the store.
   */
  releaseQuarantined(id: string): Promise<"released" | "unknown" | "not-kept">;
  /** What is released, the latest refused first: only what names it, however large it is. */
  releasedQuarantine(filter: { readonly limit: number }): Promise<readonly QuarantineRef[]>;
  /** Deletes an entry, released or not; false when there is none. */
  discardQuarantined(id: string): Promise<boolean>;
}

export interface NewQuarantineEntry {
  /** Whose budget it counts against: a peer's name, or `(strangers)`. */
  readonly bucket: string;
  /** The object's raw key. */
  readonly key: string;
  /** Null when the object was too large to keep: then it was left in place. */
  readonly bytes: Uint8Array | null;
  readonly size: number;
  readonly code: string;
  readonly detail: string;
  readonly atMs: number;
}

export interface QuarantineEntry extends NewQuarantineEntry {
  /** 16 characters of base32: of the SHA-256 of key and bytes (key and size where there are no bytes). */
  readonly id: string;
  /** Somebody decided that its bytes are to be looked at once more. */
  readonly released: boolean;
}

export interface QuarantineFilter {
  readonly limit: number;
  readonly bucket?: string;
}

/** What names a quarantine entry whose bytes are kept. */
export type QuarantineRef = Pick<QuarantineEntry, "id" | "key" | "size">;

export interface QuarantineBudget {
  readonly maxBytes: number;
  readonly maxEntries: number;
}

export interface QuarantineHeld {
  readonly entries: number;
  readonly bytes: number;
}

/** What one sender, or all strangers together, have in quarantine. */
export interface BucketOverview {
  readonly bucket: string;
  readonly entries: number;
  /** Of the bytes that are kept. */
  readonly bytes: number;
  readonly released: number;
}

/** The quarantine as a driver keeps it. */
export interface Quarantine {
  get(id: string): QuarantineEntry | undefined;
  /** In order of (atMs descending, id), like the next. */
  latest(filter: QuarantineFilter): QuarantineEntry[];
  released(limit: number): QuarantineRef[];
  held(bucket: string): QuarantineHeld;
  /** In order of bucket. */
  overview(): BucketOverview[];
  /** Ids of entries made before `beforeMs`, at most `limit`, the oldest first. */
  old(beforeMs: number, limit: number): string[];
  put(entry: QuarantineEntry): void;
  /** Says of all that was refused later that it was then: by a clock that was ahead. */
  dateUntil(nowMs: number): void;
  delete(id: string): void;
}

/** What `State.quarantine` does, inside its write. */
export function quarantineRefused(
  entries: Quarantine,
  refused: NewQuarantineEntry,
  budget: QuarantineBudget,
): "kept" | "known" | "over-budget" {
  const entry = quarantineEntryOf(refused);
  const standing = entries.get(entry.id);
  if (standing?.released === false) return "known";
  if (standing !== undefined) {
    // Its bytes count where they counted before: only the verdict is new.
    const { code, detail, atMs } = entry;
    entries.put({ ...standing, code, detail, atMs, released: false });
    return "kept";
  }
  if (!fitsBudget(entries.held(entry.bucket), entry, budget)) return "over-budget";
  entries.put(entry);
  return "kept";
}

/** What `State.releaseQuarantined` does, inside its write. */
export function releaseQuarantined(
  entries: Quarantine,
  id: string,
): "released" | "unknown" | "not-kept" {
  const entry = entries.get(id);
  if (entry === undefined) return "unknown";
  if (entry.bytes === null) return "not-kept";
  if (!entry.released) entries.put({ ...entry, released: true });
  return "released";
}

/** What `State.discardQuarantined` does, inside its write. */
export function discardQuarantined(entries: Quarantine, id: string): boolean {
  if (entries.get(id) === undefined) return false;
  entries.delete(id);
  return true;
}

/** Texts are made well-formed: a key may be any name that a bucket made up, and a database keeps UTF-8. */
function quarantineEntryOf(entry: NewQuarantineEntry): QuarantineEntry {
  const { bucket, key, bytes, size, code, detail, atMs } = entry;
  const content = bytes === null ? utf8(`${size}`) : sha256(bytes);
  const id = toBase32(sha256(Buffer.concat([sha256(utf8(key)), content]))).slice(0, 16);
  return {
    id,
    bucket: bucket.toWellFormed(),
    key: key.toWellFormed(),
    bytes,
    size,
    code,
    detail: detail.toWellFormed(),
    atMs,
    released: false,
  };
}

function fitsBudget(
  held: QuarantineHeld,
  entry: NewQuarantineEntry,
  budget: QuarantineBudget,
): boolean {
  return (
    held.entries < budget.maxEntries && held.bytes + (entry.bytes?.length ?? 0) <= budget.maxBytes
  );
}
