import type { OldReceipt, Receipts, Records } from "./records.ts";
import type { CollectOptions, Collected } from "./state.ts";
import type { Moment } from "./transactions.ts";

const nothing: Collected = { receipts: 0, outbox: 0, quarantine: 0, troubles: 0 };

/** What `State.collect` does, inside its write. */
export function collect(records: Records, moment: Moment, options: CollectOptions): Collected {
  // A clock that is behind has nothing to say of what is over.
  if (moment.nowMs < moment.meta.highestClockMs) return nothing;
  const over = overAt(records, moment.nowMs, options);
  if (options.dryRun !== true) {
    for (const ref of over.receipts) records.receipts.delete(ref);
    for (const runId of over.outbox) records.outbox.delete(runId);
    for (const id of over.quarantine) records.quarantine.delete(id);
    for (const subject of over.troubles) records.troubles.delete(subject);
  }
  return {
    receipts: over.receipts.length,
    outbox: over.outbox.length,
    quarantine: over.quarantine.length,
    troubles: over.troubles.length,
  };
}

/** What nothing keeps any more, at most `limit` of all kinds together. */
function overAt(records: Records, nowMs: number, options: CollectOptions) {
  const beforeMs = nowMs - options.retentionMs;
  const receipts = overReceipts(records.receipts, nowMs, options);
  let room = options.limit - receipts.length;
  const outbox = records.outbox.old(nowMs, options, room);
  room -= outbox.length;
  const quarantine = records.quarantine.old(beforeMs, room);
  room -= quarantine.length;
  return { receipts, outbox, quarantine, troubles: records.troubles.old(beforeMs, room) };
}

/**
 * What an open receipt names stays, and is met again by every pass. Only what was admitted is worth that: there
 * is at most one of a run, so no more of them are met than there are open receipts.
 */
function overReceipts(receipts: Receipts, nowMs: number, options: CollectOptions): OldReceipt[] {
  const over: OldReceipt[] = [];
  if (options.limit <= 0) return over;
  for (const receipt of receipts.old(nowMs, options)) {
    if (receipt.admitted && receipts.isContinued(receipt.from, receipt.runId)) continue;
    over.push(receipt);
    if (over.length >= options.limit) break;
  }
  return over;
}
