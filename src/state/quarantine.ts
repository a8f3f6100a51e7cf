import { sha256, toBase32, utf8 } from "../base/bytes.ts";
import type { QuarantineHeld, Records } from "./records.ts";
import type { NewQuarantineEntry, QuarantineBudget, QuarantineEntry } from "./state.ts";

/** What `State.quarantine` does, inside its write. */
export function quarantine(
  records: Records,
  refused: NewQuarantineEntry,
  budget: QuarantineBudget,
): "kept" | "known" | "over-budget" {
  const entry = quarantineEntryOf(refused);
  const standing = records.quarantinedEntry(entry.id);
  if (standing?.released === false) return "known";
  if (standing !== undefined) {
    // Its bytes count where they counted before: only the verdict is new.
    const { code, detail, atMs } = entry;
    records.putQuarantine({ ...standing, code, detail, atMs, released: false });
    return "kept";
  }
  if (!fitsBudget(records.quarantineHeld(entry.bucket), entry, budget)) return "over-budget";
  records.putQuarantine(entry);
  return "kept";
}

/** What `State.releaseQuarantined` does, inside its write. */
export function releaseQuarantined(
  records: Records,
  id: string,
): "released" | "unknown" | "not-kept" {
  const entry = records.quarantinedEntry(id);
  if (entry === undefined) return "unknown";
  if (entry.bytes === null) return "not-kept";
  if (!entry.released) records.putQuarantine({ ...entry, released: true });
  return "released";
}

/** What `State.discardQuarantined` does, inside its write. */
export function discardQuarantined(records: Records, id: string): boolean {
  if (records.quarantinedEntry(id) === undefined) return false;
  records.deleteQuarantine(id);
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
