import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Receipt } from "../protocol/receipt.ts";
import type { RunView } from "../state/state.ts";

/**
 * The attempt after the receipt's. Throws `FRAME_CHAIN_BROKEN` when there is none: its keys are all taken, and
 * the run cannot be ended any more.
 */
export function nextAttempt(receipt: Receipt): number {
  if (receipt.attempt < limits.maxAttempt) return receipt.attempt + 1;
  throw new PosternError("FRAME_CHAIN_BROKEN", `all attempts of run ${receipt.runId} are taken`);
}

/** What a worker holds on one run: every commit about the run asks whether it still does. */
export interface Lease {
  readonly run: Pick<Receipt, "from" | "runId" | "requestDigest">;
  readonly worker: Receipt["worker"];
  readonly nonce: string;
  readonly attempt: number;
}

export function leaseOf(receipt: Receipt): Lease {
  const { from, runId, requestDigest, worker, nonce, attempt } = receipt;
  return { run: { from, runId, requestDigest }, worker, nonce, attempt };
}

/** The leased receipt if it is still ours and open; undefined when it was taken over or ended. */
export function heldReceipt(lease: Lease, { receipt }: RunView): Receipt | undefined {
  if (receipt === undefined || receipt.state === "ended") return undefined;
  const held =
    receipt.worker === lease.worker &&
    receipt.nonce === lease.nonce &&
    receipt.attempt === lease.attempt;
  return held ? receipt : undefined;
}
