import type { AskedOverview } from "../outbox.ts";
import type { BucketOverview } from "../quarantine.ts";
import type { ReceivedOverview } from "../state.ts";
import type { SqliteDatabase } from "./database.ts";

// Every count comes from an index that has all it needs (for one of all rows SQLite takes the smallest): the
// rows and their large values are not read.

/** Counts receipts as `Records.receivedOverview` does. */
export function receivedOverviewOf(database: SqliteDatabase): ReceivedOverview {
  const open = database.get(
    `SELECT count(*) FILTER (WHERE state = 'admitted') AS admitted,
      count(*) FILTER (WHERE state = 'running') AS running, min(received_ms) AS oldest
      FROM receipts INDEXED BY receipts_open WHERE state <> 'ended'`,
  );
  const unpublished =
    "SELECT count(*) AS n FROM receipts INDEXED BY receipts_unacknowledged WHERE acknowledged = 0";
  const all = "SELECT count(*) AS n FROM receipts";
  const [admitted, running] = [open?.integer("admitted") ?? 0, open?.integer("running") ?? 0];
  return {
    admitted,
    running,
    ended: counted(database, all) - admitted - running,
    unpublished: counted(database, unpublished),
    oldestOpenMs: open?.integerOrNull("oldest") ?? null,
  };
}

/** Counts asked runs as `Records.askedOverview` does. */
export function askedOverviewOf(database: SqliteDatabase): AskedOverview {
  const unclosed = database.get(
    `SELECT count(*) FILTER (WHERE state = 'open') AS open,
      count(*) FILTER (WHERE state = 'unknown') AS unknown,
      min(opened_ms) FILTER (WHERE state = 'open') AS oldest
      FROM outbox INDEXED BY outbox_unclosed WHERE state <> 'closed'`,
  );
  const all = "SELECT count(*) AS n FROM outbox";
  const [open, unknown] = [unclosed?.integer("open") ?? 0, unclosed?.integer("unknown") ?? 0];
  return {
    open,
    unknown,
    closed: counted(database, all) - open - unknown,
    oldestOpenMs: unclosed?.integerOrNull("oldest") ?? null,
  };
}

/** Counts quarantined objects as `Records.bucketOverviews` does. */
export function bucketOverviewsOf(database: SqliteDatabase): BucketOverview[] {
  const sql = `SELECT bucket, count(*) AS entries, sum(kept_bytes) AS bytes, sum(released) AS released
    FROM quarantine INDEXED BY quarantine_bucket GROUP BY bucket ORDER BY bucket`;
  return database.all(sql).map((row) => ({
    bucket: row.text("bucket"),
    entries: row.integer("entries"),
    bytes: row.integer("bytes"),
    released: row.integer("released"),
  }));
}

function counted(database: SqliteDatabase, sql: string): number {
  return database.get(sql)?.integer("n") ?? 0;
}
