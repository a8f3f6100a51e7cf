import { sha256, toBase32, utf8 } from "../../src/base/bytes.ts";
import type { Clock } from "../../src/base/clock.ts";
import {
  isRequestDigest,
  isWorkerId,
  parseAgentName,
  parseGatewayName,
  parseRunId,
  type ObjectKey,
  type RequestDigest,
  type RunId,
  type WorkerId,
} from "../../src/base/names.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import type { Ending, Receipt } from "../../src/protocol/receipt.ts";
import type { OutboxRecord, Transcript } from "../../src/state/outbox.ts";
import type { NewQuarantineEntry } from "../../src/state/quarantine.ts";
import type { State } from "../../src/state/state.ts";
import type { Trouble } from "../../src/state/troubles.ts";

/** A clock that stands still until it is set. */
export class SetClock implements Clock {
  ms: number;

  constructor(ms: number) {
    this.ms = ms;
  }

  now(): number {
    return this.ms;
  }

  async sleep(): Promise<void> {}
}

export const peer = parseGatewayName("peer.example");
export const otherPeer = parseGatewayName("other");
const self = parseGatewayName("self.example");

export function runIdFor(text: string): RunId {
  return parseRunId(toBase32(sha256(utf8(text))));
}

export function digestFor(text: string): RequestDigest {
  const digest = toBase32(sha256(utf8(text)));
  if (isRequestDigest(digest)) return digest;
  throw new Error(`${digest} is no request digest`);
}

export function workerFor(text: string): WorkerId {
  const id = toBase32(sha256(utf8(text)).slice(0, 16));
  if (isWorkerId(id)) return id;
  throw new Error(`${id} is no worker id`);
}

export const succeeded: TerminalPayload = { status: "succeeded", result: "done" };

/** A receipt that was just admitted, for the run that `name` names, changed by `change`. */
export function receiptFor(name: string, change: Partial<Receipt> = {}): Receipt {
  return {
    from: peer,
    runId: runIdFor(name),
    requestDigest: digestFor(name),
    request: utf8(`request ${name}`),
    agent: parseAgentName("agent"),
    kind: "prompt",
    tenant: null,
    continues: null,
    iat: 1,
    exp: 100,
    deadline: null,
    receivedMs: 1000,
    admitted: true,
    starts: 0,
    state: "admitted",
    worker: workerFor("worker"),
    nonce: "nonce",
    attempt: 1,
    runningSinceMs: null,
    maxRunMs: 1000,
    outcome: null,
    ended: null,
    ...change,
  };
}

export function endedAt(
  atMs: number,
  change: Partial<Ending> = {},
): Pick<Receipt, "state" | "ended"> {
  return { state: "ended", ended: { atMs, terminal: null, acknowledged: true, ...change } };
}

function requestKey(runId: RunId): ObjectKey {
  return objectKey({ kind: "request", to: peer, from: self, runId });
}

/** An outbox record that was just opened, for the run that `name` names, changed by `change`. */
export function outboxFor(name: string, change: Partial<OutboxRecord> = {}): OutboxRecord {
  const runId = runIdFor(name);
  return {
    runId,
    to: peer,
    key: requestKey(runId),
    envelope: utf8(`envelope ${name}`),
    requestDigest: digestFor(name),
    payload: utf8(`payload ${name}`),
    intentDigest: digestFor(`intent ${name}`),
    iat: 1,
    exp: 100,
    deadline: null,
    openedMs: 1000,
    sentMs: null,
    answered: false,
    displaced: false,
    state: "open",
    closedMs: null,
    terminal: null,
    cancel: null,
    read: null,
    ...change,
  };
}

export function cancelFor(name: string): OutboxRecord["cancel"] {
  const runId = runIdFor(name);
  const digest16 = digest16Of(digestFor(name));
  return {
    key: objectKey({ kind: "cancel", to: peer, from: self, runId, digest16 }),
    envelope: utf8(`cancel ${name}`),
  };
}

export function transcriptFor(name: string, closedMs: number, envelopes = 2): Transcript {
  const runId = runIdFor(name);
  const digest16 = digest16Of(digestFor(name));
  const framesAt = (seq: number): ObjectKey =>
    objectKey({ kind: "frames", to: self, from: peer, runId, digest16, attempt: 1, seq });
  return {
    runId,
    attempt: 1,
    terminal: succeeded,
    envelopes: Array.from({ length: envelopes }, (_, seq) => ({
      key: framesAt(seq),
      envelope: utf8(`frames ${name} ${seq}`),
      kid: digestFor("key"),
      verifiedMs: closedMs - 1,
    })),
    closedMs,
  };
}

export function refusedObject(change: Partial<NewQuarantineEntry> = {}): NewQuarantineEntry {
  return {
    bucket: peer,
    key: "self.example/inbox/peer.example/x",
    bytes: utf8("refused"),
    size: 7,
    code: "SIGNATURE_INVALID",
    detail: "it does not verify",
    atMs: 1000,
    ...change,
  };
}

export function troubleOf(subject: string, change: Partial<Trouble> = {}): Trouble {
  return { subject, code: "STORE_DENIED", message: "it said no", atMs: 1000, ...change };
}

/** Writes a receipt as it is. */
export async function put(state: State, receipt: Receipt): Promise<void> {
  await state.stepRun(receipt, () => ({ answer: undefined, write: receipt }));
}
