import type { SQLInputValue } from "node:sqlite";
import type { QuarantineEntry, QuarantineRef } from "../quarantine.ts";
import type { Row } from "./row.ts";

/** A quarantine entry's columns, each with the value it is given. */
export function quarantineColumns(entry: QuarantineEntry): Record<string, SQLInputValue> {
  return {
    id: entry.id,
    bucket: entry.bucket,
    key: entry.key,
    size: entry.size,
    kept_bytes: entry.bytes?.length ?? 0,
    code: entry.code,
    at_ms: entry.atMs,
    detail: entry.detail,
    bytes: entry.bytes,
    released: Number(entry.released),
  };
}

export function quarantineRefOf(row: Row): QuarantineRef {
  return { id: row.text("id"), key: row.text("key"), size: row.integer("size") };
}

export function quarantineEntryOf(row: Row): QuarantineEntry {
  return {
    id: row.text("id"),
    bucket: row.text("bucket"),
    key: row.text("key"),
    bytes: row.bytesOrNull("bytes"),
    size: row.integer("size"),
    code: row.text("code"),
    detail: row.text("detail"),
    atMs: row.integer("at_ms"),
    released: row.boolean("released"),
  };
}
