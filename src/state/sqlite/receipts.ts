import type { SQLInputValue } from "node:sqlite";
import {
  isAgentName,
  isGatewayName,
  isRequestDigest,
  isRunId,
  isWorkerId,
  type GatewayName,
  type RunId,
  type WorkerId,
} from "../../base/names.ts";
import type { Ending, Receipt, RunRef, SignedTerminal } from "../../protocol/receipt.ts";
import { requestKinds } from "../../protocol/request.ts";
import type { OldReceipt, PeerWork, Receipts } from "../records.ts";
import type { Retention } from "../retention.ts";
import type { CancelTarget, ReceivedOverview, RefFilter } from "../state.ts";
import type { SqliteDatabase } from "./database.ts";
import type { Row } from "./row.ts";
import { keptUntilSql, standsInTheWaySql } from "./schema.ts";
import { terminalOf, terminalText } from "./terminal.ts";

/** Receipts as rows of one table. */
export class SqliteReceipts implements Receipts {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  get({ from, runId, requestDigest }: RunRef): Receipt | undefined {
    const sql = "SELECT * FROM receipts WHERE sender = ? AND run_id = ? AND request_digest = ?";
    const row = this.#database.get(sql, from, runId, requestDigest);
    return row && receiptOf(row);
  }

  ofCancel({ from, runId, digest16 }: CancelTarget): Receipt | undefined {
    // "~" stands behind every character of a digest.
    const sql = `SELECT * FROM receipts
      WHERE sender = ? AND run_id = ? AND request_digest >= ? AND request_digest < ?
      ORDER BY request_digest LIMIT 1`;
    const row = this.#database.get(sql, from, runId, digest16, `${digest16}~`);
    return row && receiptOf(row);
  }

  isBlocked({ from, runId, requestDigest }: RunRef): boolean {
    const sql = `SELECT 1 FROM receipts INDEXED BY receipts_standing
      WHERE (${standsInTheWaySql}) AND sender = ? AND run_id = ? AND request_digest <> ? LIMIT 1`;
    return this.#database.get(sql, from, runId, requestDigest) !== undefined;
  }

  admitted(from: GatewayName, runId: RunId): Pick<Receipt, "tenant"> | undefined {
    const sql = `SELECT tenant FROM receipts INDEXED BY receipts_standing
      WHERE sender = ? AND run_id = ? AND admitted = 1 ORDER BY request_digest LIMIT 1`;
    const row = this.#database.get(sql, from, runId);
    return row && { tenant: row.textOrNull("tenant") };
  }

  latest(limit: number): Receipt[] {
    const sql = `SELECT * FROM receipts INDEXED BY receipts_received
      ORDER BY received_ms DESC, run_id DESC, request_digest DESC, sender DESC LIMIT ?`;
    return this.#database.all(sql, limit).map(receiptOf);
  }

  named(runId: RunId): Receipt[] {
    // One step in an index for each sender there is, and one more for what it sent.
    const sql = `WITH RECURSIVE senders (name) AS (
        SELECT min(sender) FROM receipts
        UNION ALL
        SELECT (SELECT min(sender) FROM receipts WHERE sender > name) FROM senders WHERE name IS NOT NULL)
      SELECT receipts.* FROM senders CROSS JOIN receipts ON sender = name AND run_id = ?
      ORDER BY received_ms, run_id, request_digest, sender`;
    return this.#database.all(sql, runId).map(receiptOf);
  }

  refs({ are, limit }: RefFilter): RunRef[] {
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

  overview(): ReceivedOverview {
    const open = this.#database.get(
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
      ended: this.#database.count(all) - admitted - running,
      unpublished: this.#database.count(unpublished),
      oldestOpenMs: open?.integerOrNull("oldest") ?? null,
    };
  }

  peerWork(from: GatewayName, runId: RunId, afterMs: number): PeerWork {
    const openSql = `SELECT count(*) AS n FROM receipts INDEXED BY receipts_sender_open
      WHERE state <> 'ended' AND sender = ? AND run_id <> ? AND kind <> 'approvalGrant'`;
    const receivedSql = "SELECT count(*) AS n FROM receipts WHERE sender = ? AND received_ms > ?";
    const unpublishedSql = `SELECT count(*) AS n FROM receipts INDEXED BY receipts_sender_unpublished
      WHERE acknowledged = 0 AND sender = ?`;
    return {
      openRuns: this.#database.count(openSql, from, runId),
      receivedLastMinute: this.#database.count(receivedSql, from, afterMs),
      unpublished: this.#database.count(unpublishedSql, from),
    };
  }

  isContinued(from: GatewayName, runId: RunId): boolean {
    const sql =
      "SELECT 1 FROM receipts INDEXED BY receipts_continues WHERE state <> 'ended' AND sender = ? AND continues = ? LIMIT 1";
    return this.#database.get(sql, from, runId) !== undefined;
  }

  *old(nowMs: number, retention: Retention): Generator<OldReceipt> {
    const keptUntil = keptUntilSql("ended_ms", retention);
    const sql = `SELECT sender, run_id, request_digest, admitted FROM receipts INDEXED BY receipts_kept
      WHERE acknowledged = 1 AND ${keptUntil} < ?
      ORDER BY ${keptUntil}, sender, run_id, request_digest`;
    for (const row of this.#database.each(sql, nowMs)) yield oldReceiptOf(row);
  }

  put(receipt: Receipt): void {
    this.#database.put("receipts", ["sender", "run_id", "request_digest"], receiptColumns(receipt));
  }

  dateUntil(nowMs: number): void {
    this.#database.atMost("receipts", "received_ms", nowMs);
    this.#database.atMost("receipts", "ended_ms", nowMs);
  }

  delete({ from, runId, requestDigest }: RunRef): void {
    const sql = "DELETE FROM receipts WHERE sender = ? AND run_id = ? AND request_digest = ?";
    this.#database.run(sql, from, runId, requestDigest);
  }
}

/** A receipt's columns, each with the value it is given. */
function receiptColumns(receipt: Receipt): Record<string, SQLInputValue> {
  const { ended } = receipt;
  const terminal = ended?.terminal ?? null;
  return {
    sender: receipt.from,
    run_id: receipt.runId,
    request_digest: receipt.requestDigest,
    agent: receipt.agent,
    kind: receipt.kind,
    tenant: receipt.tenant,
    continues: receipt.continues,
    iat: receipt.iat,
    exp: receipt.exp,
    deadline: receipt.deadline,
    received_ms: receipt.receivedMs,
    admitted: Number(receipt.admitted),
    starts: receipt.starts,
    state: receipt.state,
    worker: receipt.worker,
    nonce: receipt.nonce,
    attempt: receipt.attempt,
    running_since_ms: receipt.runningSinceMs,
    max_run_ms: receipt.maxRunMs,
    ended_ms: ended?.atMs ?? null,
    acknowledged: ended === null ? null : Number(ended.acknowledged),
    terminal_attempt: terminal?.attempt ?? null,
    terminal_seq: terminal?.seq ?? null,
    outcome: receipt.outcome === null ? null : terminalText(receipt.outcome),
    terminal: terminal === null ? null : terminalText(terminal.payload),
    terminal_envelope: terminal?.envelope ?? null,
    request: receipt.request,
  };
}

function receiptOf(row: Row): Receipt {
  return {
    ...refOf(row),
    request: row.bytes("request"),
    agent: row.name("agent", isAgentName),
    kind: row.oneOf("kind", requestKinds),
    tenant: row.textOrNull("tenant"),
    continues: row.isNull("continues") ? null : row.name("continues", isRunId),
    iat: row.integer("iat"),
    exp: row.integer("exp"),
    deadline: row.integerOrNull("deadline"),
    receivedMs: row.integer("received_ms"),
    admitted: row.boolean("admitted"),
    starts: row.integer("starts"),
    state: row.oneOf("state", ["admitted", "running", "ended"]),
    worker: row.name("worker", isWorkerId),
    nonce: row.text("nonce"),
    attempt: row.integer("attempt"),
    runningSinceMs: row.integerOrNull("running_since_ms"),
    maxRunMs: row.integer("max_run_ms"),
    outcome: row.isNull("outcome") ? null : row.parsed("outcome", terminalOf),
    ended: row.isNull("ended_ms") ? null : endingOf(row),
  };
}

function oldReceiptOf(row: Row): OldReceipt {
  return { ...refOf(row), admitted: row.boolean("admitted") };
}

function refOf(row: Row): RunRef {
  return {
    from: row.name("sender", isGatewayName),
    runId: row.name("run_id", isRunId),
    requestDigest: row.name("request_digest", isRequestDigest),
  };
}

function endingOf(row: Row): Ending {
  return {
    atMs: row.integer("ended_ms"),
    terminal: row.isNull("terminal") ? null : signedTerminalOf(row),
    acknowledged: row.boolean("acknowledged"),
  };
}

function signedTerminalOf(row: Row): SignedTerminal {
  return {
    attempt: row.integer("terminal_attempt"),
    seq: row.integer("terminal_seq"),
    envelope: row.bytes("terminal_envelope"),
    payload: row.parsed("terminal", terminalOf),
  };
}
