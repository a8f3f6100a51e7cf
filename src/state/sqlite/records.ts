import type { SQLInputValue } from "node:sqlite";
import { PosternError } from "../../base/errors.ts";
import {
  isRunId,
  isWorkerId,
  type GatewayName,
  type RunId,
  type WorkerId,
} from "../../base/names.ts";
import type { Receipt, RunRef } from "../../protocol/receipt.ts";
import type { AskedOverview, AskedRun, OutboxRecord, StoredOutbox, Transcript } from "../outbox.ts";
import type {
  BucketOverview,
  QuarantineEntry,
  QuarantineFilter,
  QuarantineHeld,
  QuarantineRef,
} from "../quarantine.ts";
import type { Commit, Meta, OldReceipt, PeerWork, Records } from "../records.ts";
import type { SqliteDatabase } from "./database.ts";
import { metaColumns, metaOf } from "./meta.ts";
import { askedRunOf, outboxColumns, outboxRecordOf, transcriptEnvelopeOf } from "./outbox.ts";
import { askedOverviewOf, bucketOverviewsOf, receivedOverviewOf } from "./overview.ts";
import { quarantineColumns, quarantineEntryOf, quarantineRefOf } from "./quarantine.ts";
import { oldReceiptOf, receiptColumns, receiptOf, refOf } from "./receipts.ts";
import { LogSync } from "./log-sync.ts";
import type { Row } from "./row.ts";
import { keptUntilSql, standsInTheWaySql } from "./schema.ts";
import { terminalOf, terminalText } from "./terminal.ts";
import type { Retention } from "../retention.ts";
import type { CancelTarget, ReceivedOverview, RefFilter } from "../state.ts";
import type { Trouble } from "../troubles.ts";

/**
 * The records of a state as rows of one SQLite file; the tables are in `schema.ts`. Where SQLite, which
 * has no statistics here, would choose an index that reads too much, the statement names the right one.
 */
export class SqliteRecords implements Records {
  readonly #database: SqliteDatabase;
  readonly #log: LogSync;
  /** The statement that writes a row, by table. */
  readonly #puts = new Map<string, string>();

  constructor(database: SqliteDatabase) {
    this.#database = database;
    this.#log = new LogSync(database.file);
  }

  get dirty(): boolean {
    return this.#database.dirty;
  }

  read<T>(step: () => T): T {
    return this.#database.read(step);
  }

  write<T>(step: () => T, commit: Commit): T {
    const answer = this.#database.write(step, "relaxed");
    // Who waits for it is told by `settled`.
    if (commit === "durable" && this.#database.dirty) this.#log.sync().catch(() => undefined);
    return answer;
  }

  settled(): Promise<void> {
    return this.#log.settled();
  }

  sync(): Promise<void> {
    return this.#log.sync();
  }

  close(): void {
    this.#log.close();
    this.#database.close();
  }

  meta(): Meta {
    const row = this.#database.get("SELECT * FROM meta");
    if (row === undefined) {
      throw new PosternError(
        "STATE_DAMAGED",
        `${this.#database.file} has lost its meta row: put a good copy there and run \`postern state recover\``,
      );
    }
    return metaOf(row);
  }

  putMeta(meta: Meta): void {
    this.#put("meta", ["one"], metaColumns(meta));
  }

  raiseClock(nowMs: number): void {
    const sql = "UPDATE meta SET highest_clock_ms = ? WHERE highest_clock_ms < ?";
    this.#database.run(sql, nowMs, nowMs);
  }

  receipt({ from, runId, requestDigest }: RunRef): Receipt | undefined {
    const sql = "SELECT * FROM receipts WHERE sender = ? AND run_id = ? AND request_digest = ?";
    return mapped(this.#database.get(sql, from, runId, requestDigest), receiptOf);
  }

  receiptOfCancel({ from, runId, digest16 }: CancelTarget): Receipt | undefined {
    // "~" stands behind every character of a digest.
    const sql = `SELECT * FROM receipts
      WHERE sender = ? AND run_id = ? AND request_digest >= ? AND request_digest < ?
      ORDER BY request_digest LIMIT 1`;
    return mapped(this.#database.get(sql, from, runId, digest16, `${digest16}~`), receiptOf);
  }

  isBlocked({ from, runId, requestDigest }: RunRef): boolean {
    const sql = `SELECT 1 FROM receipts INDEXED BY receipts_standing
      WHERE (${standsInTheWaySql}) AND sender = ? AND run_id = ? AND request_digest <> ? LIMIT 1`;
    return this.#database.get(sql, from, runId, requestDigest) !== undefined;
  }

  admittedReceipt(from: GatewayName, runId: RunId): Pick<Receipt, "tenant"> | undefined {
    const sql = `SELECT tenant FROM receipts INDEXED BY receipts_standing
      WHERE sender = ? AND run_id = ? AND admitted = 1 ORDER BY request_digest LIMIT 1`;
    const row = this.#database.get(sql, from, runId);
    return row && { tenant: row.textOrNull("tenant") };
  }

  receipts(limit: number): Receipt[] {
    const sql = `SELECT * FROM receipts INDEXED BY receipts_received
      ORDER BY received_ms DESC, run_id DESC, request_digest DESC, sender DESC LIMIT ?`;
    return this.#database.all(sql, limit).map(receiptOf);
  }

  receiptsNamed(runId: RunId): Receipt[] {
    // One step in an index for each sender there is, and one more for what it sent.
    const sql = `WITH RECURSIVE senders (name) AS (
        SELECT min(sender) FROM receipts
        UNION ALL
        SELECT (SELECT min(sender) FROM receipts WHERE sender > name) FROM senders WHERE name IS NOT NULL)
      SELECT receipts.* FROM senders CROSS JOIN receipts ON sender = name AND run_id = ?
      ORDER BY received_ms, run_id, request_digest, sender`;
    return this.#database.all(sql, runId).map(receiptOf);
  }

  receiptRefs({ are, limit }: RefFilter): RunRef[] {
    const those =
      are === "open"
        ? "INDEXED BY receipts_open WHERE state <> 'ended'"
        : "INDEXED BY receipts_unacknowledged WHERE acknowledged = 0";
    const sql = `SELECT sender, run_id, request_digest FROM receipts ${those}
      ORDER BY received_ms, run_id, request_digest, sender LIMIT ?`;
    return this.#database.all(sql, limit).map(refOf);
  }

  openWorkers(): Set<WorkerId> {
    const rows = this.#database.all(
      "SELECT DISTINCT worker FROM receipts INDEXED BY receipts_open WHERE state <> 'ended'",
    );
    return new Set(rows.map((row) => row.name("worker", isWorkerId)));
  }

  receivedOverview(): ReceivedOverview {
    return receivedOverviewOf(this.#database);
  }

  peerWork(from: GatewayName, runId: RunId, afterMs: number): PeerWork {
    const openSql = `SELECT count(*) AS n FROM receipts INDEXED BY receipts_sender_open
      WHERE state <> 'ended' AND sender = ? AND run_id <> ? AND kind <> 'approvalGrant'`;
    const receivedSql = "SELECT count(*) AS n FROM receipts WHERE sender = ? AND received_ms > ?";
    return {
      openRuns: this.#database.get(openSql, from, runId)?.integer("n") ?? 0,
      receivedLastMinute: this.#database.get(receivedSql, from, afterMs)?.integer("n") ?? 0,
    };
  }

  isContinued(from: GatewayName, runId: RunId): boolean {
    const sql =
      "SELECT 1 FROM receipts INDEXED BY receipts_continues WHERE state <> 'ended' AND sender = ? AND continues = ? LIMIT 1";
    return this.#database.get(sql, from, runId) !== undefined;
  }

  *oldReceipts(nowMs: number, retention: Retention): Generator<OldReceipt> {
    const keptUntil = keptUntilSql("ended_ms", retention);
    const sql = `SELECT sender, run_id, request_digest, admitted FROM receipts INDEXED BY receipts_kept
      WHERE acknowledged = 1 AND ${keptUntil} < ?
      ORDER BY ${keptUntil}, sender, run_id, request_digest`;
    for (const row of this.#database.each(sql, nowMs)) yield oldReceiptOf(row);
  }

  putReceipt(receipt: Receipt): void {
    this.#put("receipts", ["sender", "run_id", "request_digest"], receiptColumns(receipt));
  }

  dateReceiptsUntil(nowMs: number): void {
    const sql = "UPDATE receipts SET received_ms = ? WHERE received_ms > ?";
    this.#database.run(sql, nowMs, nowMs);
  }

  deleteReceipt({ from, runId, requestDigest }: RunRef): void {
    const sql = "DELETE FROM receipts WHERE sender = ? AND run_id = ? AND request_digest = ?";
    this.#database.run(sql, from, runId, requestDigest);
  }

  outbox(runId: RunId): StoredOutbox | undefined {
    return mapped(this.#database.get("SELECT * FROM outbox WHERE run_id = ?", runId), (row) => ({
      record: outboxRecordOf(row),
      settledMs: row.integerOrNull("settled_ms"),
    }));
  }

  outboxRecords(limit: number): OutboxRecord[] {
    const sql = "SELECT * FROM outbox ORDER BY opened_ms DESC, run_id DESC LIMIT ?";
    return this.#database.all(sql, limit).map(outboxRecordOf);
  }

  askedRuns(limit: number): AskedRun[] {
    const sql = `SELECT run_id, state FROM outbox WHERE state <> 'closed'
      ORDER BY state, sent_ms, opened_ms, run_id LIMIT ?`;
    return this.#database.all(sql, limit).map(askedRunOf);
  }

  askedOverview(): AskedOverview {
    return askedOverviewOf(this.#database);
  }

  oldOutbox(nowMs: number, retention: Retention, limit: number): RunId[] {
    const keptUntil = keptUntilSql("settled_ms", retention);
    const sql = `SELECT run_id FROM outbox INDEXED BY outbox_kept
      WHERE settled_ms IS NOT NULL AND ${keptUntil} < ? ORDER BY ${keptUntil}, run_id LIMIT ?`;
    const rows = this.#database.all(sql, nowMs, Math.max(0, limit));
    return rows.map((row) => row.name("run_id", isRunId));
  }

  putOutbox(stored: StoredOutbox): void {
    this.#put("outbox", ["run_id"], outboxColumns(stored));
  }

  transcript(runId: RunId): Transcript | undefined {
    const row = this.#database.get("SELECT * FROM transcripts WHERE run_id = ?", runId);
    if (row === undefined) return undefined;
    const sql = "SELECT * FROM transcript_envelopes WHERE run_id = ? ORDER BY place";
    return {
      runId,
      attempt: row.integer("attempt"),
      terminal: row.parsed("terminal", terminalOf),
      envelopes: this.#database.all(sql, runId).map(transcriptEnvelopeOf),
      closedMs: row.integer("closed_ms"),
    };
  }

  putTranscript({ runId, attempt, terminal, envelopes, closedMs }: Transcript): void {
    this.#put("transcripts", ["run_id"], {
      run_id: runId,
      attempt,
      closed_ms: closedMs,
      terminal: terminalText(terminal),
    });
    for (const [place, { key, envelope, kid, verifiedMs }] of envelopes.entries()) {
      const columns = { run_id: runId, place, key, kid, verified_ms: verifiedMs, envelope };
      this.#put("transcript_envelopes", ["run_id", "place"], columns);
    }
  }

  deleteOutbox(runId: RunId): void {
    this.#database.run("DELETE FROM outbox WHERE run_id = ?", runId);
    this.#database.run("DELETE FROM transcripts WHERE run_id = ?", runId);
    this.#database.run("DELETE FROM transcript_envelopes WHERE run_id = ?", runId);
  }

  hasNonce(nonce: string): boolean {
    return this.#database.get("SELECT 1 FROM nonces WHERE nonce = ?", nonce) !== undefined;
  }

  putNonce(nonce: string): void {
    this.#database.run("INSERT INTO nonces (nonce) VALUES (?)", nonce);
  }

  deleteNonces(): void {
    this.#database.run("DELETE FROM nonces");
  }

  quarantined({ limit, bucket }: QuarantineFilter): QuarantineEntry[] {
    const of = bucket === undefined ? "" : "WHERE bucket = ?";
    const sql = `SELECT * FROM quarantine ${of} ORDER BY at_ms DESC, id LIMIT ?`;
    const values = bucket === undefined ? [limit] : [bucket, limit];
    return this.#database.all(sql, ...values).map(quarantineEntryOf);
  }

  releasedQuarantine(limit: number): QuarantineRef[] {
    const sql =
      "SELECT id, key, size FROM quarantine WHERE released = 1 ORDER BY at_ms DESC, id LIMIT ?";
    return this.#database.all(sql, limit).map(quarantineRefOf);
  }

  quarantinedEntry(id: string): QuarantineEntry | undefined {
    return mapped(
      this.#database.get("SELECT * FROM quarantine WHERE id = ?", id),
      quarantineEntryOf,
    );
  }

  quarantineHeld(bucket: string): QuarantineHeld {
    const sql =
      "SELECT count(*) AS n, coalesce(sum(kept_bytes), 0) AS bytes FROM quarantine WHERE bucket = ?";
    const row = this.#database.get(sql, bucket);
    return { entries: row?.integer("n") ?? 0, bytes: row?.integer("bytes") ?? 0 };
  }

  bucketOverviews(): BucketOverview[] {
    return bucketOverviewsOf(this.#database);
  }

  oldQuarantine(beforeMs: number, limit: number): string[] {
    const sql = "SELECT id FROM quarantine WHERE at_ms < ? ORDER BY at_ms, id LIMIT ?";
    return this.#database.all(sql, beforeMs, Math.max(0, limit)).map((row) => row.text("id"));
  }

  putQuarantine(entry: QuarantineEntry): void {
    this.#put("quarantine", ["id"], quarantineColumns(entry));
  }

  deleteQuarantine(id: string): void {
    this.#database.run("DELETE FROM quarantine WHERE id = ?", id);
  }

  trouble(subject: string): Trouble | undefined {
    return mapped(
      this.#database.get("SELECT * FROM troubles WHERE subject = ?", subject),
      troubleOf,
    );
  }

  troubles(): Trouble[] {
    const sql = "SELECT * FROM troubles ORDER BY at_ms DESC, subject";
    return this.#database.all(sql).map(troubleOf);
  }

  troubleCount(): number {
    return this.#database.get("SELECT count(*) AS n FROM troubles")?.integer("n") ?? 0;
  }

  oldTroubles(beforeMs: number, limit: number): string[] {
    const sql = "SELECT subject FROM troubles WHERE at_ms < ? ORDER BY at_ms, subject LIMIT ?";
    return this.#database.all(sql, beforeMs, Math.max(0, limit)).map((row) => row.text("subject"));
  }

  putTrouble({ subject, code, message, atMs }: Trouble): void {
    this.#put("troubles", ["subject"], { subject, code, at_ms: atMs, message });
  }

  deleteTrouble(subject: string): void {
    this.#database.run("DELETE FROM troubles WHERE subject = ?", subject);
  }

  version(document: string): number | undefined {
    const row = this.#database.get("SELECT version FROM versions WHERE document = ?", document);
    return row?.integer("version");
  }

  putVersion(document: string, version: number): void {
    this.#put("versions", ["document"], { document, version });
  }

  lastNumber(series: string): number | undefined {
    return this.#database.get("SELECT last FROM series WHERE series = ?", series)?.integer("last");
  }

  putLastNumber(series: string, last: number): void {
    this.#put("series", ["series"], { series, last });
  }

  /** Writes a whole row, in the place of the one with the same key. A table's rows have the same columns each time. */
  #put(
    table: string,
    key: readonly string[],
    columns: Readonly<Record<string, SQLInputValue>>,
  ): void {
    const sql = this.#puts.get(table) ?? putSql(table, key, Object.keys(columns));
    this.#puts.set(table, sql);
    this.#database.run(sql, ...Object.values(columns));
  }
}

function putSql(table: string, key: readonly string[], columns: readonly string[]): string {
  const values = columns.map(() => "?").join(", ");
  const others = columns
    .filter((name) => !key.includes(name))
    .map((name) => `${name} = excluded.${name}`);
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${values})
    ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${others.join(", ")}`;
}

function mapped<T>(row: Row | undefined, map: (row: Row) => T): T | undefined {
  return row === undefined ? undefined : map(row);
}

function troubleOf(row: Row): Trouble {
  return {
    subject: row.text("subject"),
    code: row.text("code"),
    message: row.text("message"),
    atMs: row.integer("at_ms"),
  };
}
