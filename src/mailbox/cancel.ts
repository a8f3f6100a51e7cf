import { asPosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { digest16Of, objectKey, type CancelName } from "../protocol/object-key.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { decodeCancel } from "../protocol/request.ts";
import { isOwnTrustCode } from "./grants.ts";
import { openFromPeer, type Mailbox } from "./mailbox.ts";
import { readObject } from "./read-object.ts";

/** A cancel as the inbox lists it. */
export interface ListedCancel {
  readonly name: CancelName;
  /** Milliseconds since 1970 by the store's clock. */
  readonly modifiedMs: number;
}

/** Whether a cancel for exactly this request was listed. */
export function isListedFor(
  { runId, requestDigest }: RunRef,
  cancels: readonly CancelName[],
): boolean {
  const digest16 = digest16Of(requestDigest);
  return cancels.some((cancel) => cancel.runId === runId && cancel.digest16 === digest16);
}

/**
 * Whether the caller asked to stop exactly this request: one read of the cancel's key. A cancel that does
 * not verify is none. Rejects as the store does, or with `TRUST_*` when the own trust document cannot be used.
 */
export async function readCancel(box: Mailbox, run: RunRef): Promise<boolean> {
  const { from, runId, requestDigest } = run;
  const digest16 = digest16Of(requestDigest);
  const key = objectKey({ kind: "cancel", to: box.self, from, runId, digest16 });
  const got = await readObject(box.store, key);
  if (got.status !== "found") return false;
  try {
    const { claims, payload } = openFromPeer(box, "cancel", key, got.bytes);
    const cancel = decodeCancel(payload);
    return (
      claims.iss === from &&
      claims.aud === box.self &&
      cancel.runId === runId &&
      cancel.requestDigest === requestDigest
    );
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust" || isOwnTrustCode(error.code)) throw error;
    box.log.warn({ key, code: error.code }, "a cancel does not verify and is ignored");
    return false;
  }
}

/** Deletes a cancel that has nothing left to stop. Rejects as the store does. */
export async function dropSpentCancel(
  box: Mailbox,
  listed: ListedCancel,
  receipt: Receipt | undefined,
): Promise<void> {
  if (!isSpent(box, listed, receipt)) return;
  // Another process may have ended the run this very moment.
  await box.state.sync();
  await box.store.delete(objectKey(listed.name));
}

/**
 * Whether a cancel has nothing left to stop: its run has ended, or no request it could be for can come any
 * more. The request's expiry is not known then; the longest time to live bounds it.
 */
export function isSpent(box: Mailbox, listed: ListedCancel, receipt: Receipt | undefined): boolean {
  if (receipt !== undefined) return receipt.state === "ended";
  return box.clock.now() > listed.modifiedMs + limits.maxTtlMs + 3 * limits.skewMs;
}
