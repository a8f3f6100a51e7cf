import type { Receipt } from "../protocol/receipt.ts";
import type { Meta, Records } from "./records.ts";

/**
 * What `recover` does, for a driver that changes more in the same write.
 *
 * What a clock that ran ahead has dated would be kept until retention has passed after that date, and fill a
 * quarantine until then. Whatever has happened has happened by now: dated now, it is kept for no less than retention
 * after it was over, and a receipt until its request is past `exp` besides, which is by the sender's clock. It takes a
 * clock that is right now; so does `born`.
 *
 * The other dates stay: nothing is collected by them, and none is waited for. They are when a run went `running` (open
 * runs end), when one was asked, and its transcript verified and stored (shown as it was written), and when a callee
 * said a frame (by its clock).
 */
export function recoverRecords(
  records: Records,
  nowMs: number,
): { bornMs: number; open: Receipt[] } {
  records.putMeta(recoveredMeta(records.meta(), nowMs));
  // What was received before the recovery is known by that, whatever the clock was then.
  records.receipts.dateUntil(nowMs);
  records.outbox.dateUntil(nowMs);
  records.quarantine.dateUntil(nowMs);
  records.troubles.dateUntil(nowMs);
  records.deleteNonces();
  records.raiseClock(nowMs);
  const open = records.receipts.refs({ are: "open", limit: Number.MAX_SAFE_INTEGER });
  return { bornMs: nowMs, open: open.flatMap((ref) => records.receipts.get(ref) ?? []) };
}

/**
 * The generation stays: what was claimed up to it cannot stop this state, and what comes above it with a
 * nonce that is not committed from here on is somebody else's.
 */
export function recoveredMeta(meta: Meta, nowMs: number): Meta {
  // The clock starts anew as well: one that once ran ahead must not stop admission for ever.
  const clock = {
    bornMs: nowMs,
    highestClockMs: nowMs,
    lastPassMs: earlier(meta.lastPassMs, nowMs),
    lastGoodPassMs: earlier(meta.lastGoodPassMs, nowMs),
  };
  return { ...meta, ...clock, lookMs: null, claimedMs: null, elsewhere: false };
}

function earlier(atMs: number | null, nowMs: number): number | null {
  return atMs === null ? null : Math.min(atMs, nowMs);
}
