import type { SQLInputValue } from "node:sqlite";
import { isGatewayName, isRequestDigest, isRunId, type ObjectKey } from "../../base/names.ts";
import { objectKey, parseObjectKey } from "../../protocol/object-key.ts";
import type {
  AskedRun,
  OutboxRecord,
  ReadPosition,
  StoredOutbox,
  TranscriptEnvelope,
} from "../outbox.ts";
import type { Row } from "./row.ts";
import { terminalOf, terminalText } from "./terminal.ts";

/** An outbox record's columns, each with the value it is given. */
export function outboxColumns({ record, settledMs }: StoredOutbox): Record<string, SQLInputValue> {
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
  };
}

export function outboxRecordOf(row: Row): OutboxRecord {
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
  };
}

export function askedRunOf(row: Row): AskedRun {
  return {
    runId: row.name("run_id", isRunId),
    state: row.oneOf("state", ["open", "unknown"]),
  };
}

export function transcriptEnvelopeOf(row: Row): TranscriptEnvelope {
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
