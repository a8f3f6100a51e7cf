import type { ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { Receipt } from "../protocol/receipt.ts";
import type { OwnerView } from "../state/state.ts";
import { isPastDeadline } from "./admission.ts";
import { heldReceipt, type Lease } from "./lease.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Denial } from "./grants.ts";
import { ensureOwner, requireOwner } from "./owner.ts";
import { endedReceipt } from "./end.ts";
import { failure, signBareTerminal } from "./terminal.ts";

export type Started =
  /** The handler may start now. */
  | { readonly status: "running"; readonly receipt: Receipt }
  /** It will not start: its end is committed and to be published. */
  | { readonly status: "ended"; readonly receipt: Receipt }
  /** Somebody else has it. */
  | { readonly status: "taken" };

/** What is asked once more inside the transaction that starts a handler. */
export interface LastLook {
  readonly cancelled: () => boolean;
  readonly denial: () => Denial | undefined;
}

/**
 * Commits `running` right before the handler starts, with clock, cancel, deadline and trust looked at once
 * more. Rejects like `admit`.
 */
export async function commitStart(box: Mailbox, lease: Lease, look: LastLook): Promise<Started> {
  await ensureOwner(box);
  return box.state.stepRun<Started>(lease.run, (view) => {
    const receipt = heldReceipt(lease, view);
    if (receipt === undefined || receipt.state !== "admitted")
      return { answer: { status: "taken" } };
    requireOwner(view);
    const instead =
      lostInRecovery(receipt, view.owner) ?? reasonNotToStart(receipt, view.nowMs, look);
    if (instead !== undefined) {
      const terminal = signBareTerminal(box, lease.run, receipt.attempt, instead);
      const ended = endedReceipt(receipt, view.nowMs, terminal);
      return { answer: { status: "ended", receipt: ended }, write: ended };
    }
    const running: Receipt = {
      ...receipt,
      state: "running",
      starts: receipt.starts + 1,
      runningSinceMs: view.nowMs,
    };
    return { answer: { status: "running", receipt: running }, write: running };
  });
}

/** How an admitted run ends instead of starting, or undefined when it may start. */
function reasonNotToStart(
  receipt: Receipt,
  nowMs: number,
  look: LastLook,
): TerminalPayload | undefined {
  if (look.cancelled())
    return neverStarted(receipt, "cancelled", "CANCELLED", "cancelled before it was started");
  if (isPastDeadline(receipt, nowMs)) {
    return neverStarted(
      receipt,
      "cancelled",
      "DEADLINE",
      "the deadline passed before it was started",
    );
  }
  if (nowMs >= receipt.exp * 1000 + 2 * limits.skewMs) {
    return neverStarted(receipt, "expired", "EXPIRED", "the request expired before it was started");
  }
  const denied = look.denial();
  return denied && neverStarted(receipt, "refused", denied.code, denied.message);
}

/** How a run ends that was open when the state was recovered: what has become of it since then is not known. */
export function lostInRecovery(
  { receivedMs }: Receipt,
  { bornMs }: OwnerView,
): TerminalPayload | undefined {
  if (receivedMs > bornMs) return undefined;
  return failure(
    "interrupted",
    "STATE_LOST",
    "this gateway's state was recovered while the run was open",
  );
}

/** An end that claims the run never started; of one that did, in an earlier attempt, only that it broke off is known. */
export function neverStarted(
  receipt: Receipt,
  status: "cancelled" | "expired" | "refused",
  code: ErrorCode,
  message: string,
): TerminalPayload {
  if (receipt.starts === 0) return failure(status, code, message);
  return failure(
    "interrupted",
    "INTERRUPTED",
    "an earlier attempt broke off, and no other may be made",
  );
}
