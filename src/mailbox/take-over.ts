import { limits } from "../base/limits.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { Receipt } from "../protocol/receipt.ts";
import type { RunView } from "../state/state.ts";
import { isPastDeadline } from "./admission.ts";
import { nextAttempt } from "./lease.ts";
import { readCancel } from "./cancel.ts";
import { endedReceipt } from "./end.ts";
import { newNonce, type Mailbox } from "./mailbox.ts";
import { ensureOwner, requireOwner } from "./owner.ts";
import { lostInRecovery, neverStarted } from "./start.ts";
import { failure, signBareTerminal } from "./terminal.ts";

/** What becomes of a run whose worker is gone. */
export type OnCrash = "report" | "retry";

export type TakenOver =
  /** Ours now, and never started: to be started like a run just admitted. */
  | { readonly status: "admitted"; readonly receipt: Receipt }
  /** Its end is committed and to be published. */
  | { readonly status: "ended"; readonly receipt: Receipt }
  /** Somebody lives who works on it, or it changed meanwhile. */
  | { readonly status: "left" };

export interface TakeOverOptions {
  /** Whether this very process is at work on the run. */
  readonly isOurs: (receipt: Receipt) => boolean;
  readonly onCrash: (receipt: Receipt) => OnCrash;
}

/**
 * Takes over an open run whose worker is gone, or that has run far too long (SPEC.md, Crashes). Rejects with
 * `STATE_ELSEWHERE`, `OWNER_UNCHECKED`, `CLOCK_BEHIND`, or as store and state do.
 */
export async function takeOver(
  box: Mailbox,
  seen: Receipt,
  options: TakeOverOptions,
): Promise<TakenOver> {
  const why = reasonToTake(box, seen, options) ?? (await reasonAfterRecovery(box, seen, options));
  if (why === undefined) return { status: "left" };
  const cancelled = seen.outcome === null && (await readCancel(box, seen));
  // Last: the store may have taken longer over the cancel than a look is good for.
  await ensureOwner(box);
  return box.state.stepRun<TakenOver>(seen, (view) => {
    const { receipt } = view;
    if (receipt === undefined || !isUnchanged(receipt, seen)) return { answer: { status: "left" } };
    requireOwner(view);
    const attempt = nextAttempt(receipt);
    const outcome = outcomeOfTaken(receipt, view, cancelled, why, options);
    if (outcome !== undefined) {
      const terminal = signBareTerminal(box, receipt, attempt, outcome);
      const ended = endedReceipt({ ...receipt, attempt }, view.nowMs, terminal);
      return { answer: { status: "ended", receipt: ended }, write: ended };
    }
    const taken: Receipt = {
      ...receipt,
      state: "admitted",
      worker: box.liveness.self,
      nonce: newNonce(box.random),
      attempt,
      runningSinceMs: null,
    };
    return { answer: { status: "admitted", receipt: taken }, write: taken };
  });
}

function reasonToTake(
  box: Mailbox,
  receipt: Receipt,
  options: TakeOverOptions,
): "gone" | "hung" | undefined {
  if (options.isOurs(receipt)) return undefined;
  if (receipt.worker === box.liveness.self || box.liveness.isGone(receipt.worker)) return "gone";
  return isHung(receipt, box.clock.now()) ? "hung" : undefined;
}

/** The workers of a lost state left no sign of life or death behind; the operator says that they are gone. */
async function reasonAfterRecovery(
  box: Mailbox,
  receipt: Receipt,
  options: TakeOverOptions,
): Promise<"gone" | undefined> {
  if (options.isOurs(receipt)) return undefined;
  return lostInRecovery(receipt, await box.state.owner()) && "gone";
}

/** A live worker may be paused or hung: past its longest run time and a grace, its run is not waited for. */
function isHung(receipt: Receipt, nowMs: number): boolean {
  if (receipt.runningSinceMs === null) return false;
  return nowMs > receipt.runningSinceMs + receipt.maxRunMs + limits.maxRunGraceMs;
}

function isUnchanged(receipt: Receipt, seen: Receipt): boolean {
  return (
    receipt.state === seen.state &&
    receipt.worker === seen.worker &&
    receipt.nonce === seen.nonce &&
    receipt.attempt === seen.attempt
  );
}

/** How a run that is taken over ends at once, or undefined when it is to be started (again). */
function outcomeOfTaken(
  receipt: Receipt,
  view: RunView,
  cancelled: boolean,
  why: "gone" | "hung",
  options: TakeOverOptions,
): TerminalPayload | undefined {
  if (receipt.outcome !== null) return receipt.outcome;
  const lost = lostInRecovery(receipt, view.owner);
  if (lost !== undefined) return lost;
  if (receipt.state === "admitted") {
    // Deadline, expiry and trust are looked at by `commitStart`, as for any run that starts.
    return cancelled
      ? neverStarted(receipt, "cancelled", "CANCELLED", "cancelled before it was started")
      : undefined;
  }
  if (why === "hung")
    return failure("cancelled", "DEADLINE", "the run took longer than its agent may");
  const again =
    options.onCrash(receipt) === "retry" &&
    receipt.starts < limits.maxStarts &&
    !cancelled &&
    !isPastDeadline(receipt, view.nowMs);
  return again
    ? undefined
    : failure("interrupted", "INTERRUPTED", "its worker is gone: the outcome is not known");
}
