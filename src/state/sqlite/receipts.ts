import type { SQLInputValue } from "node:sqlite";
import {
  isAgentName,
  isGatewayName,
  isRequestDigest,
  isRunId,
  isWorkerId,
} from "../../base/names.ts";
import type { Ending, Receipt, RunRef, SignedTerminal } from "../../protocol/receipt.ts";
import { requestKinds } from "../../protocol/request.ts";
import type { OldReceipt } from "../records.ts";
import type { Row } from "./row.ts";
import { terminalOf, terminalText } from "./terminal.ts";

/** A receipt's columns, each with the value it is given. */
export function receiptColumns(receipt: Receipt): Record<string, SQLInputValue> {
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

export function receiptOf(row: Row): Receipt {
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

export function oldReceiptOf(row: Row): OldReceipt {
  return { ...refOf(row), admitted: row.boolean("admitted") };
}

export function refOf(row: Row): RunRef {
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
