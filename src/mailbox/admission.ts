import { limits } from "../base/limits.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { Receipt } from "../protocol/receipt.ts";
import type { RunView } from "../state/state.ts";
import { notGrantedText } from "../trust/trust.ts";
import { denialOf, type Denial, type MaxRunOf } from "./grants.ts";
import type { Mailbox } from "./mailbox.ts";
import { requireOwner } from "./owner.ts";
import { failure } from "./terminal.ts";
import type { ReceivedRequest, VerifiedRequest } from "./verify-request.ts";

/** A verified request as admission looks at it. */
export interface Candidate {
  readonly received: ReceivedRequest;
  /** Whether a verified cancel for exactly these bytes lies beside it. */
  readonly cancelled: boolean;
  /** Why the trust document says no, or undefined when it says yes. */
  readonly refusal: Denial | undefined;
  readonly maxRequestBytes: number;
  readonly maxConcurrentRuns: number;
  readonly maxRequestsPerMinute: number;
}

export type Admission =
  /** A receipt for these bytes stands already. */
  | { readonly status: "exists"; readonly receipt: Receipt }
  /** Ours to run. */
  | { readonly status: "admitted" }
  /** It will never run: this is the answer. */
  | { readonly status: "answered"; readonly outcome: TerminalPayload }
  /** It will never run, and it is too late for an answer to be believed. */
  | { readonly status: "silenced"; readonly code: ErrorCode }
  /** It may run later: it stays where it is. */
  | { readonly status: "waits"; readonly code: ErrorCode };

/** By the trust document and the agents as they are now. */
export function candidateOf(
  box: Mailbox,
  { received, payload }: VerifiedRequest,
  cancelled: boolean,
  maxRunOf: MaxRunOf,
): Candidate {
  const grants = box.trust.current().grantsOf(received.from);
  return {
    received,
    cancelled,
    refusal: denialOf(box, received, payload, received.request.length, maxRunOf),
    maxRequestBytes: grants?.maxRequestBytes ?? 0,
    maxConcurrentRuns: grants?.maxConcurrentRuns ?? 0,
    maxRequestsPerMinute: grants?.maxRequestsPerMinute ?? 0,
  };
}

/**
 * Decides about one verified request inside the admission transaction (SPEC.md, Admission). The order of
 * the questions is the protocol's. Throws `STATE_ELSEWHERE`, `OWNER_UNCHECKED` or `CLOCK_BEHIND`.
 */
export function decideAdmission(candidate: Candidate, view: RunView): Admission {
  const { received } = candidate;
  const now = view.nowMs;
  if (view.receipt !== undefined) return { status: "exists", receipt: view.receipt };
  requireOwner(view);

  const iat = received.iat * 1000;
  const exp = received.exp * 1000;
  if (iat > now + limits.skewMs) return { status: "waits", code: "ISSUED_IN_FUTURE" };
  // Refusals leave receipts, too: whoever sends faster than is granted waits for those as well.
  if (view.peer.receivedLastMinute >= candidate.maxRequestsPerMinute) {
    return { status: "waits", code: "QUOTA_REACHED" };
  }
  // What is not published is kept for ever, and whoever can keep its own answers out of the store chooses how much.
  if (view.peer.unpublished >= limits.unpublishedPerPeer) {
    return { status: "waits", code: "QUOTA_REACHED" };
  }
  if (view.owner.bornMs > 0 && iat < view.owner.bornMs + limits.recoveryMs) {
    return answered(
      "interrupted",
      "STATE_LOST",
      "signed before this gateway's state was recovered, or within minutes after it: it may have run",
    );
  }
  const believable = now < exp + 2 * limits.skewMs;
  if (view.blocked) {
    if (!believable) return { status: "silenced", code: "RECEIVED_TOO_LATE" };
    return answered(
      "refused",
      "IDEMPOTENCY_CONFLICT",
      "another request stands under this idempotencyKey",
    );
  }
  if (now >= exp + limits.skewMs) {
    if (!believable) return { status: "silenced", code: "RECEIVED_TOO_LATE" };
    return answered("expired", "EXPIRED", "the request expired before it was admitted");
  }
  if (candidate.cancelled)
    return answered("cancelled", "CANCELLED", "cancelled before it was admitted");
  if (isPastDeadline(received, now))
    return answered("cancelled", "DEADLINE", "the deadline passed before it was admitted");
  if (candidate.refusal !== undefined) {
    return answered("refused", candidate.refusal.code, candidate.refusal.message);
  }
  if (received.continues !== null && view.continued?.tenant !== received.tenant) {
    return answered("refused", "NOT_GRANTED", notGrantedText);
  }
  if (view.peer.openRuns >= candidate.maxConcurrentRuns)
    return { status: "waits", code: "QUOTA_REACHED" };
  return { status: "admitted" };
}

function answered(
  status: "refused" | "expired" | "cancelled" | "interrupted",
  code: ErrorCode,
  message: string,
): Admission {
  return { status: "answered", outcome: failure(status, code, message) };
}

export function isPastDeadline({ deadline }: Pick<Receipt, "deadline">, nowMs: number): boolean {
  return deadline !== null && nowMs >= deadline * 1000;
}

/** The receipt of an answer that stands before anything of it is published, so that a repeat can never run. */
export function bornEnded(
  receipt: Receipt,
  nowMs: number,
  terminal: NonNullable<Receipt["ended"]>["terminal"],
): Receipt {
  return {
    ...receipt,
    admitted: false,
    state: "ended",
    ended: { atMs: nowMs, terminal, acknowledged: terminal === null },
  };
}
