import type { SQLInputValue } from "node:sqlite";
import type {
  BucketOverview,
  Quarantine,
  QuarantineEntry,
  QuarantineFilter,
  QuarantineHeld,
  QuarantineRef,
} from "../quarantine.ts";
import type { SqliteDatabase } from "./database.ts";
import type { Row } from "./row.ts";

/** Quarantine entries as rows of one table. */
export class SqliteQuarantine implements Quarantine {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  get(id: string): QuarantineEntry | undefined {
    const row = this.#database.get("SELECT * FROM quarantine WHERE id = ?", id);
    return row && quarantineEntryOf(row);
  }

  latest({ limit, bucket }: QuarantineFilter): QuarantineEntry[] {
    const of = bucket === undefined ? "" : "WHERE bucket = ?";
    const sql = `SELECT * FROM quarantine ${of} ORDER BY at_ms DESC, id LIMIT ?`;
    const values = bucket === undefined ? [limit] : [bucket, limit];
    return this.#database.all(sql, ...values).map(quarantineEntryOf);
  }

  released(limit: number): QuarantineRef[] {
    const sql =
      "SELECT id, key, size FROM quarantine WHERE released = 1 ORDER BY at_ms DESC, id LIMIT ?";
    return this.#database.all(sql, limit).map(quarantineRefOf);
  }

  held(bucket: string): QuarantineHeld {
    const sql =
      "SELECT count(*) AS n, coalesce(sum(kept_bytes), 0) AS bytes FROM quarantine WHERE bucket = ?";
    const row = this.#database.get(sql, bucket);
    return { entries: row?.integer("n") ?? 0, bytes: row?.integer("bytes") ?? 0 };
  }

  overview(): BucketOverview[] {
    const sql = `SELECT bucket, count(*) AS entries, sum(kept_bytes) AS bytes, sum(released) AS released
      FROM quarantine INDEXED BY quarantine_bucket GROUP BY bucket ORDER BY bucket`;
    return this.#database.all(sql).map((row) => ({
      bucket: row.text("bucket"),
      entries: row.integer("entries"),
      bytes: row.integer("bytes"),
      released: row.integer("released"),
    }));
  }

  old(beforeMs: number, limit: number): string[] {
    const sql = "SELECT id FROM quarantine WHERE at_ms < ? ORDER BY at_ms, id LIMIT ?";
    return this.#database.all(sql, beforeMs, Math.max(0, limit)).map((row) => row.text("id"));
  }

  put(entry: QuarantineEntry): void {
    this.#database.put("quarantine", ["id"], quarantineColumns(entry));
  }

  dateUntil(nowMs: number): void {
    this.#database.atMost("quarantine", "at_ms", nowMs);
  }

  delete(id: string): void {
    this.#database.run("DELETE FROM quarantine WHERE id = ?", id);
  }
}

/** A quarantine entry's columns, each with the value it is given. */
function quarantineColumns(entry: QuarantineEntry): Record<string, SQLInputValue> {
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

function quarantineRefOf(row: Row): QuarantineRef {
  return { id: row.text("id"), key: row.text("key"), size: row.integer("size") };
}

function quarantineEntryOf(row: Row): QuarantineEntry {
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
