import { asPosternError, PosternError, type ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import {
  digest16Of,
  objectKey,
  type CancelName,
  type RequestName,
} from "../protocol/object-key.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { decodeRequest, type RequestPayload } from "../protocol/request.ts";
import { requestDigestOf, runIdOf } from "../protocol/run-id.ts";
import { bornEnded, decideAdmission, type Admission, type Candidate } from "./admission.ts";
import { readCancel } from "./cancel.ts";
import { publishEnding, republishEnding } from "./end.ts";
import { denialOf, isOwnTrustCode, requireTrust, type MaxRunOf } from "./grants.ts";
import { newNonce, openFromPeer, type Mailbox, type Opened } from "./mailbox.ts";
import { highestOwnAttempt } from "./own-attempts.ts";
import { ensureOwner } from "./owner.ts";
import { quarantineObject, type Quarantined } from "./quarantine.ts";
import { readObject, tooLarge } from "./read-object.ts";
import { signBareTerminal } from "./terminal.ts";

/** A request as the inbox lists it. */
export interface Waiting {
  readonly name: RequestName;
  /** Bytes, as the listing says. */
  readonly size: number;
  /** Cancels listed beside it. */
  readonly cancels: readonly CancelName[];
  /** When it was listed. */
  readonly listedMs: number;
}

export type AdmitResult =
  | { readonly status: "admitted"; readonly receipt: Receipt; readonly request: RequestPayload }
  /** A receipt stands: it is ended and published again, or somebody works on it. */
  | { readonly status: "exists"; readonly receipt: Receipt }
  | { readonly status: "answered"; readonly code: string }
  | { readonly status: "quarantined"; readonly code: ErrorCode; readonly answer: Quarantined }
  | { readonly status: "waits"; readonly code: ErrorCode }
  | { readonly status: "gone" };

/**
 * Takes one waiting request through admission (SPEC.md, Admission): after `admitted` it is ours to run and
 * ends in exactly one terminal; before, nothing has happened. Whatever is refused is answered or kept.
 *
 * Rejects with `TRUST_*` when the own trust document cannot be used, `STATE_ELSEWHERE`, `OWNER_UNCHECKED`,
 * `CLOCK_BEHIND`, or as store and state do; the request then stays where it is.
 */
export async function admit(
  box: Mailbox,
  waiting: Waiting,
  maxRunOf: MaxRunOf,
): Promise<AdmitResult> {
  const { name } = waiting;
  const key = objectKey(name);
  if (waiting.size > limits.maxEnvelopeBytes) {
    return refuse(box, key, name, null, waiting.size, tooLarge(waiting.size));
  }
  const got = await readObject(box.store, key);
  if (got.status === "absent") return { status: "gone" };
  if (got.status === "unreadable") return refuse(box, key, name, null, got.size, got.error);

  const { bytes } = got;
  const run: RunRef = { from: name.from, runId: name.runId, requestDigest: requestDigestOf(bytes) };
  const standing = await box.state.receipt(run);
  if (standing !== undefined) return followReceipt(box, key, standing);

  // A document that cannot be used, or a state that no longer serves the name, quarantines nothing either.
  await requireTrust(box);
  await ensureOwner(box);
  let verified: Verified;
  try {
    verified = openRequest(box, name, key, bytes);
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust" || isOwnTrustCode(error.code)) throw error;
    return refuse(box, key, name, bytes, bytes.length, error);
  }
  const asked = isListed(waiting.cancels, run) || isOld(box, waiting);
  const cancelled = asked && (await readCancel(box, run));
  const candidate = candidateOf(box, run, bytes, verified, cancelled, maxRunOf);
  return settle(box, key, candidate, verified.request);
}

interface Verified {
  readonly opened: Opened;
  readonly exp: number;
  readonly request: RequestPayload;
}

/** Throws the code that the object is quarantined with. */
function openRequest(box: Mailbox, name: RequestName, key: ObjectKey, bytes: Uint8Array): Verified {
  const opened = openFromPeer(box, "request", key, bytes);
  const { iss, aud, iat, exp } = opened.claims;
  const request = decodeRequest(opened.payload);
  if (iss !== name.from)
    throw new PosternError("ISSUER_MISMATCH", `signed by ${iss}, lies under ${name.from}`);
  if (aud !== box.self)
    throw new PosternError("AUDIENCE_MISMATCH", "the request is for another gateway");
  if (request.callerIdentity.gateway !== iss) {
    throw new PosternError("ISSUER_MISMATCH", "callerIdentity.gateway is not who signed");
  }
  if (name.runId !== ownRunId(box, name, request)) {
    throw new PosternError("RUN_ID_MISMATCH", "the request's name is not the hash of its content");
  }
  if (exp === undefined || exp <= iat || (exp - iat) * 1000 > limits.maxTtlMs) {
    throw new PosternError(
      "TTL_INVALID",
      `exp must be after iat, by at most ${limits.maxTtlMs / 1000} seconds`,
    );
  }
  return { opened, exp, request };
}

function ownRunId(box: Mailbox, name: RequestName, request: RequestPayload): string {
  return runIdOf({
    realm: box.realm,
    caller: name.from,
    tenant: request.callerIdentity.tenant,
    callee: box.self,
    idempotencyKey: request.idempotencyKey,
  });
}

function candidateOf(
  box: Mailbox,
  run: RunRef,
  bytes: Uint8Array,
  { opened, exp, request }: Verified,
  cancelled: boolean,
  maxRunOf: MaxRunOf,
): Candidate {
  const refusal = denialOf(box, run, request, bytes.length, maxRunOf);
  const grants = box.trust.current().grantsOf(run.from);
  return {
    receipt: {
      ...run,
      request: bytes,
      agent: request.agentTarget,
      kind: request.body.kind,
      tenant: request.callerIdentity.tenant ?? null,
      continues: request.remoteRunId ?? null,
      iat: opened.claims.iat,
      exp,
      deadline: request.deadline ?? null,
      receivedMs: box.clock.now(),
      admitted: true,
      starts: 0,
      state: "admitted",
      worker: box.liveness.self,
      nonce: newNonce(box.random),
      attempt: 1,
      runningSinceMs: null,
      maxRunMs: maxRunOf(request.agentTarget) ?? limits.defaultMaxRunMs,
      outcome: null,
      ended: null,
    },
    cancelled,
    refusal,
    maxConcurrentRuns: grants?.maxConcurrentRuns ?? 0,
    maxRequestsPerMinute: grants?.maxRequestsPerMinute ?? 0,
  };
}

async function settle(
  box: Mailbox,
  key: ObjectKey,
  candidate: Candidate,
  request: RequestPayload,
  lookedBack?: number,
): Promise<AdmitResult> {
  const { receipt } = candidate;
  const settled = await box.state.stepRun<Settled>(
    receipt,
    (view) => {
      const decided = decideAdmission(candidate, view);
      switch (decided.status) {
        case "admitted":
          // Nothing is done under it before its start, which is durable: lost, it is admitted anew.
          return { answer: { decided, receipt }, write: receipt, relaxed: true };
        case "answered": {
          const lost = decided.outcome.error?.code === "STATE_LOST";
          if (lost && lookedBack === undefined) return { answer: { decided: "look-back" } };
          const attempt = 1 + (lookedBack ?? 0);
          const terminal = signBareTerminal(box, receipt, attempt, decided.outcome);
          const write = bornEnded({ ...receipt, attempt }, view.nowMs, terminal);
          return { answer: { decided, receipt: write }, write };
        }
        case "silenced": {
          const write = bornEnded(receipt, view.nowMs, null);
          return { answer: { decided, receipt: write }, write };
        }
        case "exists":
        case "waits":
          return { answer: { decided, receipt } };
      }
    },
    { mayRelax: true },
  );
  // The state was recovered, and an attempt of before may stand in the store: the answer goes above it.
  if (settled.decided === "look-back") {
    return settle(box, key, candidate, request, await highestOwnAttempt(box, receipt));
  }
  return conclude(box, key, settled.decided, settled.receipt, request);
}

type Settled =
  | { readonly decided: "look-back" }
  | { readonly decided: Admission; readonly receipt: Receipt };

async function conclude(
  box: Mailbox,
  key: ObjectKey,
  decided: Admission,
  receipt: Receipt,
  request: RequestPayload,
): Promise<AdmitResult> {
  switch (decided.status) {
    case "admitted":
      return { status: "admitted", receipt, request };
    case "exists":
      return followReceipt(box, key, decided.receipt);
    case "waits":
      return decided;
    case "answered":
      await publishEnding(box, receipt);
      return { status: "answered", code: decided.outcome.error?.code ?? decided.outcome.status };
    case "silenced":
      return keepSilenced(box, key, receipt);
  }
}

/** A receipt stands for these very bytes: an ended run is published again; an open one has its worker. */
async function followReceipt(box: Mailbox, key: ObjectKey, receipt: Receipt): Promise<AdmitResult> {
  // Nothing was published of it: keeping it may have broken off before.
  if (receipt.ended?.terminal === null) return keepSilenced(box, key, receipt);
  if (receipt.state === "ended") await republishEnding(box, receipt);
  return { status: "exists", receipt };
}

/** A request that gets no answer is taken out of the inbox only once it is in quarantine. */
async function keepSilenced(
  box: Mailbox,
  key: ObjectKey,
  { from, request }: Receipt,
): Promise<AdmitResult> {
  const code = "RECEIVED_TOO_LATE";
  const error = new PosternError(code, "received so late that no answer would be believed");
  const refused = { from, bytes: request, size: request.length, error };
  return { status: "quarantined", code, answer: await quarantineObject(box, key, refused) };
}

async function refuse(
  box: Mailbox,
  key: ObjectKey,
  name: RequestName,
  bytes: Uint8Array | null,
  size: number,
  error: PosternError,
): Promise<AdmitResult> {
  const answer = await quarantineObject(box, key, { from: name.from, bytes, size, error });
  return { status: "quarantined", code: error.code, answer };
}

/** A listing tells of cancels only while it is fresh: a request may have waited long for its turn. */
function isOld(box: Mailbox, { listedMs }: Waiting): boolean {
  return box.clock.now() - listedMs > limits.listingMs;
}

function isListed(cancels: readonly CancelName[], { runId, requestDigest }: RunRef): boolean {
  const digest16 = digest16Of(requestDigest);
  return cancels.some((cancel) => cancel.runId === runId && cancel.digest16 === digest16);
}
