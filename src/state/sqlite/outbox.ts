import type { SQLInputValue } from "node:sqlite";
import {
  isGatewayName,
  isRequestDigest,
  isRunId,
  type ObjectKey,
  type RunId,
} from "../../base/names.ts";
import { objectKey, parseObjectKey } from "../../protocol/object-key.ts";
import type {
  AskedOverview,
  AskedRun,
  Outbox,
  OutboxRecord,
  ReadPosition,
  StoredOutbox,
  Transcript,
  TranscriptEnvelope,
} from "../outbox.ts";
import type { Retention } from "../retention.ts";
import type { SqliteDatabase } from "./database.ts";
import type { Row } from "./row.ts";
import { keptUntilSql } from "./schema.ts";
import { terminalOf, terminalText } from "./terminal.ts";

/** Outbox records and transcripts as rows, a transcript with a row for each of its envelopes. */
export class SqliteOutbox implements Outbox {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  get(runId: RunId): StoredOutbox | undefined {
    const row = this.#database.get("SELECT * FROM outbox WHERE run_id = ?", runId);
    return row && { record: outboxRecordOf(row), settledMs: row.integerOrNull("settled_ms") };
  }

  latest(limit: number): OutboxRecord[] {
    const sql = "SELECT * FROM outbox ORDER BY opened_ms DESC, run_id DESC LIMIT ?";
    return this.#database.all(sql, limit).map(outboxRecordOf);
  }

  asked(limit: number): AskedRun[] {
    const sql = `SELECT run_id, state FROM outbox WHERE state <> 'closed'
      ORDER BY state, sent_ms, opened_ms, run_id LIMIT ?`;
    return this.#database.all(sql, limit).map(askedRunOf);
  }

  overview(): AskedOverview {
    const unclosed = this.#database.get(
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
      closed: this.#database.count(all) - open - unknown,
      oldestOpenMs: unclosed?.integerOrNull("oldest") ?? null,
    };
  }

  old(nowMs: number, retention: Retention, limit: number): RunId[] {
    const keptUntil = keptUntilSql("settled_ms", retention);
    const sql = `SELECT run_id FROM outbox INDEXED BY outbox_kept
      WHERE settled_ms IS NOT NULL AND ${keptUntil} < ? ORDER BY ${keptUntil}, run_id LIMIT ?`;
    const rows = this.#database.all(sql, nowMs, Math.max(0, limit));
    return rows.map((row) => row.name("run_id", isRunId));
  }

  put(stored: StoredOutbox): void {
    this.#database.put("outbox", ["run_id"], outboxColumns(stored));
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
    this.#database.put("transcripts", ["run_id"], {
      run_id: runId,
      attempt,
      closed_ms: closedMs,
      terminal: terminalText(terminal),
    });
    for (const [place, { key, envelope, kid, verifiedMs }] of envelopes.entries()) {
      const columns = { run_id: runId, place, key, kid, verified_ms: verifiedMs, envelope };
      this.#database.put("transcript_envelopes", ["run_id", "place"], columns);
    }
  }

  dateUntil(nowMs: number): void {
    const reopened =
      "UPDATE outbox SET state = 'open', settled_ms = NULL WHERE state = 'unknown' AND settled_ms > ?";
    this.#database.run(reopened, nowMs);
    this.#database.atMost("outbox", "sent_ms", nowMs);
    this.#database.atMost("outbox", "settled_ms", nowMs);
  }

  delete(runId: RunId): void {
    this.#database.run("DELETE FROM outbox WHERE run_id = ?", runId);
    this.#database.run("DELETE FROM transcripts WHERE run_id = ?", runId);
    this.#database.run("DELETE FROM transcript_envelopes WHERE run_id = ?", runId);
  }
}

/** An outbox record's columns, each with the value it is given. */
function outboxColumns({ record, settledMs }: StoredOutbox): Record<string, SQLInputValue> {
  return {
    run_id: record.runId,
    callee: record.to,
    key: record.key,
    request_digest: record.requestDigest,
    intent_digest: record.intentDigest,
    iat: record.iat,
    exp: record.exp,
    deadline: record.deadline,
    opened_ms: record.openedMs,
    sent_ms: record.sentMs,
    answered: Number(record.answered),
    displaced: Number(record.displaced),
    state: record.state,
    closed_ms: record.closedMs,
    settled_ms: settledMs,
    cancel_key: record.cancel?.key ?? null,
    terminal: record.terminal === null ? null : terminalText(record.terminal),
    cancel_envelope: record.cancel?.envelope ?? null,
    payload: record.payload,
    envelope: record.envelope,
    read_attempt: record.read?.attempt ?? null,
    read_seq: record.read?.seq ?? null,
    read_prev: record.read?.prev ?? null,
    read_at_ms: record.read?.atMs ?? null,
  };
}

function outboxRecordOf(row: Row): OutboxRecord {
  return {
    runId: row.name("run_id", isRunId),
    to: row.name("callee", isGatewayName),
    key: row.parsed("key", objectKeyOf),
    envelope: row.bytes("envelope"),
    requestDigest: row.name("request_digest", isRequestDigest),
    payload: row.bytes("payload"),
    intentDigest: row.text("intent_digest"),
    iat: row.integer("iat"),
    exp: row.integer("exp"),
    deadline: row.integerOrNull("deadline"),
    openedMs: row.integer("opened_ms"),
    sentMs: row.integerOrNull("sent_ms"),
    answered: row.boolean("answered"),
    displaced: row.boolean("displaced"),
    state: row.oneOf("state", ["open", "unknown", "closed"]),
    closedMs: row.integerOrNull("closed_ms"),
    terminal: row.isNull("terminal") ? null : row.parsed("terminal", terminalOf),
    cancel: row.isNull("cancel_key")
      ? null
      : { key: row.parsed("cancel_key", objectKeyOf), envelope: row.bytes("cancel_envelope") },
    read: row.isNull("read_attempt") ? null : readPositionOf(row),
  };
}

function readPositionOf(row: Row): ReadPosition {
  return {
    attempt: row.integer("read_attempt"),
    seq: row.integer("read_seq"),
    prev: row.bytes("read_prev"),
    atMs: row.integerOrNull("read_at_ms"),
  };
}

function askedRunOf(row: Row): AskedRun {
  return {
    runId: row.name("run_id", isRunId),
    state: row.oneOf("state", ["open", "unknown"]),
  };
}

function transcriptEnvelopeOf(row: Row): TranscriptEnvelope {
  return {
    key: row.parsed("key", objectKeyOf),
    envelope: row.bytes("envelope"),
    kid: row.text("kid"),
    verifiedMs: row.integer("verified_ms"),
  };
}

function objectKeyOf(text: string): ObjectKey | undefined {
  const name = parseObjectKey(text);
  return name === undefined ? undefined : objectKey(name);
}
