import type { Receipt } from "../protocol/receipt.ts";
import type { Meta, Records } from "./records.ts";

/** What `recover` does, for a driver that changes more in the same write. */
export function recoverRecords(
  records: Records,
  nowMs: number,
): { bornMs: number; open: Receipt[] } {
  records.putMeta(recoveredMeta(records.meta(), nowMs));
  // What was received before the recovery is known by that, whatever the clock was then.
  records.receipts.dateUntil(nowMs);
  records.deleteNonces();
  records.raiseClock(nowMs);
  const open = records.receipts.refs({ are: "open", limit: Number.MAX_SAFE_INTEGER });
  return { bornMs: nowMs, open: open.flatMap((ref) => records.receipts.get(ref) ?? []) };
}

/**
 * The generation stays: what was claimed up to it cannot stop this state, and what comes above it with a
 * nonce that is not committed from here on is somebody else's.
 */
function recoveredMeta(meta: Meta, nowMs: number): Meta {
  // The clock starts anew as well: one that once ran ahead must not stop admission for ever.
  const clock = { bornMs: nowMs, highestClockMs: nowMs };
  return { ...meta, ...clock, lookMs: null, claimedMs: null, elsewhere: false };
}
