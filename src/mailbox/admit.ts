import { asPosternError, PosternError, type ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { objectKey, type CancelName, type RequestName } from "../protocol/object-key.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import type { RequestPayload } from "../protocol/request.ts";
import { requestDigestOf } from "../protocol/run-id.ts";
import {
  bornEnded,
  candidateOf,
  decideAdmission,
  type Admission,
  type Candidate,
} from "./admission.ts";
import { isListedFor, readCancel } from "./cancel.ts";
import { publishEnding, republishEnding } from "./end.ts";
import { isOwnTrustCode, requireTrust, type MaxRunOf } from "./grants.ts";
import { newNonce, type Mailbox } from "./mailbox.ts";
import { highestOwnAttempt } from "./own-attempts.ts";
import { ensureOwner } from "./owner.ts";
import type { Quarantined, Refused } from "./quarantine.ts";
import { tooLarge } from "./read-object.ts";
import { inboxSource, releasedSource, type RequestSource } from "./request-source.ts";
import { signBareTerminal } from "./terminal.ts";
import { verifyRequest, type ReceivedRequest, type VerifiedRequest } from "./verify-request.ts";

/** A request that waits in the inbox, as it was listed, or in quarantine, from which it was released. */
export interface Waiting {
  readonly name: RequestName;
  /** Bytes, as the listing says. */
  readonly size: number;
  /** Cancels listed beside it. */
  readonly cancels: readonly CancelName[];
  /**
   * When it was listed with all its cancels; null where the inbox was not listed for it, or not to their end: then
   * its cancel is looked for under its own key.
   */
  readonly listedMs: number | null;
  /** The quarantine entry that keeps its bytes; without one they lie in the inbox. */
  readonly released?: string;
}

export type AdmitResult =
  | { readonly status: "admitted"; readonly receipt: Receipt; readonly request: RequestPayload }
  /** A receipt stands: it is ended and published again, or somebody works on it. */
  | { readonly status: "exists"; readonly receipt: Receipt }
  | { readonly status: "answered"; readonly code: string }
  /** `read` says how many bytes were read of it. */
  | {
      readonly status: "quarantined";
      readonly code: ErrorCode;
      readonly answer: Quarantined;
      readonly read: number;
    }
  | { readonly status: "waits"; readonly code: ErrorCode; readonly read: number }
  /** It waits, and every other request with it: the store does not let the owner keys be looked at. */
  | { readonly status: "barred"; readonly error: PosternError }
  | { readonly status: "gone" };

/**
 * Takes one waiting request through admission (SPEC.md, Admission): after `admitted` it is ours to run and
 * ends in exactly one terminal; before, nothing has happened. Whatever is refused is answered or kept. A
 * released request leaves quarantine once a receipt of it stands, and is refused anew where it still does not
 * verify.
 *
 * Rejects with `TRUST_*` when the own trust document cannot be used, `STATE_ELSEWHERE`, `OWNER_UNCHECKED`,
 * `CLOCK_BEHIND`, or as store and state do; the request then stays where it is.
 */
export async function admit(
  box: Mailbox,
  waiting: Waiting,
  maxRunOf: MaxRunOf,
): Promise<AdmitResult> {
  const key = objectKey(waiting.name);
  const source =
    waiting.released === undefined
      ? inboxSource(box, key)
      : releasedSource(box, key, waiting.released);
  const result = await admitFrom(box, source, waiting, maxRunOf);
  const { status } = result;
  if (status === "admitted" || status === "exists" || status === "answered") await source.taken();
  return result;
}

async function admitFrom(
  box: Mailbox,
  source: RequestSource,
  waiting: Waiting,
  maxRunOf: MaxRunOf,
): Promise<AdmitResult> {
  const { from, runId } = waiting.name;
  if (waiting.size > limits.maxEnvelopeBytes) {
    const { size } = waiting;
    return refuse(source, { from, bytes: null, size, error: tooLarge(size) }, 0);
  }
  const got = await source.read();
  if (got.status === "absent") return { status: "gone" };
  if (got.status === "unreadable") {
    const read = Math.min(got.size, limits.maxEnvelopeBytes);
    return refuse(source, { from, bytes: null, size: got.size, error: got.error }, read);
  }

  const { bytes } = got;
  const run: RunRef = { from, runId, requestDigest: requestDigestOf(bytes) };
  const standing = await box.state.receipt(run);
  if (standing !== undefined) return followReceipt(box, source, standing);

  // A document that cannot be used, or a state that no longer serves the name, quarantines nothing either.
  await requireTrust(box);
  const barred = await barredBy(box);
  if (barred !== undefined) return barred;
  let verified: VerifiedRequest;
  try {
    verified = verifyRequest(box, run, bytes);
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust" || isOwnTrustCode(error.code)) throw error;
    return refuse(source, { from, bytes, size: bytes.length, error }, bytes.length);
  }
  const asked = isListedFor(run, waiting.cancels) || !showsAllCancels(box, waiting);
  const cancelled = asked && (await readCancel(box, run));
  const candidate = candidateOf(box, verified, cancelled, maxRunOf);
  const receipt = newReceipt(box, verified.received, maxRunOf);
  return decide(box, source, { candidate, receipt, request: verified.payload });
}

/** What the store bars all requests by. Rejects with anything else that `ensureOwner` does. */
async function barredBy(box: Mailbox): Promise<AdmitResult | undefined> {
  try {
    await ensureOwner(box);
    return undefined;
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "store") throw error;
    return { status: "barred", error };
  }
}

/** What a request that was just received becomes, if it is admitted. */
function newReceipt(box: Mailbox, received: ReceivedRequest, maxRunOf: MaxRunOf): Receipt {
  return {
    ...received,
    receivedMs: box.clock.now(),
    admitted: true,
    starts: 0,
    state: "admitted",
    worker: box.liveness.self,
    nonce: newNonce(box.random),
    attempt: 1,
    runningSinceMs: null,
    maxRunMs: maxRunOf(received.agent) ?? limits.defaultMaxRunMs,
    outcome: null,
    ended: null,
  };
}

interface Entrant {
  readonly candidate: Candidate;
  readonly receipt: Receipt;
  readonly request: RequestPayload;
}

async function decide(
  box: Mailbox,
  source: RequestSource,
  entrant: Entrant,
  lookedBack?: number,
): Promise<AdmitResult> {
  // What was read on the way may have taken the store longer than a look is good for.
  const barred = await barredBy(box);
  if (barred !== undefined) return barred;
  const { candidate, receipt, request } = entrant;
  const made = await box.state.stepRun<Decided>(
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
          const answered = { ...receipt, attempt, request: keptOf(candidate) };
          const write = bornEnded(answered, view.nowMs, terminal);
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
  if (made.decided === "look-back") {
    return decide(box, source, entrant, await highestOwnAttempt(box, receipt));
  }
  return conclude(box, source, made.decided, made.receipt, request);
}

/** What an answered request leaves behind: nothing of one that takes more room than its sender was granted. */
function keptOf({ received, maxRequestBytes }: Candidate): Uint8Array {
  return received.request.length > maxRequestBytes ? new Uint8Array(0) : received.request;
}

type Decided =
  | { readonly decided: "look-back" }
  | { readonly decided: Admission; readonly receipt: Receipt };

async function conclude(
  box: Mailbox,
  source: RequestSource,
  decided: Admission,
  receipt: Receipt,
  request: RequestPayload,
): Promise<AdmitResult> {
  switch (decided.status) {
    case "admitted":
      return { status: "admitted", receipt, request };
    case "exists":
      return followReceipt(box, source, decided.receipt);
    case "waits":
      return { ...decided, read: receipt.request.length };
    case "answered":
      await publishEnding(box, receipt);
      return { status: "answered", code: decided.outcome.error?.code ?? decided.outcome.status };
    case "silenced":
      return keepSilenced(source, receipt);
  }
}

/** A receipt stands for these very bytes: an ended run is published again; an open one has its worker. */
async function followReceipt(
  box: Mailbox,
  source: RequestSource,
  receipt: Receipt,
): Promise<AdmitResult> {
  // Nothing was published of it: keeping it may have broken off before.
  if (receipt.ended?.terminal === null) return keepSilenced(source, receipt);
  if (receipt.state === "ended") await republishEnding(box, receipt);
  return { status: "exists", receipt };
}

/** A request that gets no answer is taken out of the inbox only once it is in quarantine. */
function keepSilenced(source: RequestSource, { from, request }: Receipt): Promise<AdmitResult> {
  const what = "received so late that no answer would be believed";
  const error = new PosternError("RECEIVED_TOO_LATE", what);
  const refused = { from, bytes: request, size: request.length, error };
  return refuse(source, refused, request.length);
}

async function refuse(
  source: RequestSource,
  refused: Omit<Refused, "key">,
  read: number,
): Promise<AdmitResult> {
  const answer = await source.refuse(refused);
  return { status: "quarantined", code: refused.error.code, answer, read };
}

/** A listing tells of cancels only while it is fresh: a request may have waited long for its turn. */
function showsAllCancels(box: Mailbox, { listedMs }: Waiting): boolean {
  return listedMs !== null && box.clock.now() - listedMs <= limits.listingMs;
}
