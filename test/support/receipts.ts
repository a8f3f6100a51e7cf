import { limits } from "../../src/base/limits.ts";
import {
  isRequestDigest,
  isRunId,
  isWorkerId,
  parseAgentName,
  parseGatewayName,
  type RequestDigest,
  type RunId,
  type WorkerId,
} from "../../src/base/names.ts";
import type { Candidate } from "../../src/mailbox/admission.ts";
import type { Ending, Receipt } from "../../src/protocol/receipt.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import type { RunView } from "../../src/state/state.ts";

export const iat = 1_900_000_000;
/** The requests of these tests live for ten minutes. */
const exp = iat + 600;
export const expMs = exp * 1000;
export const skewMs = limits.skewMs;

/** 52 characters of base32 that a letter repeats. */
export function digestOf(letter: string): RequestDigest {
  const text = letter.repeat(52);
  if (!isRequestDigest(text)) throw new Error(`${text} is no digest`);
  return text;
}

export function runOf(letter: string): RunId {
  const text = letter.repeat(52);
  if (!isRunId(text)) throw new Error(`${text} is no run id`);
  return text;
}

export function workerOf(letter: string): WorkerId {
  const text = letter.repeat(26);
  if (!isWorkerId(text)) throw new Error(`${text} is no worker id`);
  return text;
}

/** A receipt of one run that was just admitted by worker `w`. */
export function receiptWith(fields: Partial<Receipt> = {}): Receipt {
  return {
    from: parseGatewayName("asker"),
    runId: runOf("r"),
    requestDigest: digestOf("a"),
    request: Uint8Array.of(1),
    agent: parseAgentName("work"),
    kind: "prompt",
    tenant: null,
    continues: null,
    iat,
    exp,
    deadline: null,
    receivedMs: iat * 1000,
    admitted: true,
    starts: 0,
    state: "admitted",
    worker: workerOf("w"),
    nonce: "n".repeat(26),
    attempt: 1,
    runningSinceMs: null,
    maxRunMs: 3_600_000,
    outcome: null,
    ended: null,
    ...fields,
  };
}

export function endingWith(payload: TerminalPayload | null): Ending {
  const terminal =
    payload === null ? null : { attempt: 1, seq: 0, envelope: Uint8Array.of(2), payload };
  return { atMs: iat * 1000, terminal, acknowledged: true };
}

export function candidateWith(
  fields: Partial<Receipt> = {},
  more: Partial<Candidate> = {},
): Candidate {
  return {
    received: receiptWith(fields),
    cancelled: false,
    refusal: undefined,
    maxRequestBytes: limits.maxEnvelopeBytes,
    maxConcurrentRuns: 2,
    maxRequestsPerMinute: 10,
    ...more,
  };
}

/** What a step sees `afterIatMs` after the request was signed, in a state that serves its name. */
export function viewAt(nowMs: number, fields: Partial<RunView> = {}): RunView {
  return {
    nowMs,
    highestClockMs: nowMs,
    owner: {
      bornMs: 0,
      recovering: false,
      unclaimed: false,
      lookMs: nowMs - 1000,
      generation: 1,
      claimedMs: nowMs - 60_000,
      elsewhere: false,
    },
    receipt: undefined,
    blocked: false,
    continued: undefined,
    peer: { openRuns: 0, receivedLastMinute: 0, unpublished: 0 },
    ...fields,
  };
}
