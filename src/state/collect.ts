import type { Records } from "./records.ts";
import { isPastUse, type Moment } from "./rules.ts";
import type { CollectOptions, Collected } from "./state.ts";

const nothing: Collected = { receipts: 0, outbox: 0, quarantine: 0, troubles: 0 };

/** What `State.collect` does, inside its write. */
export function collect(records: Records, moment: Moment, options: CollectOptions): Collected {
  // A clock that is behind has nothing to say of what is over.
  if (moment.nowMs < moment.meta.highestClockMs) return nothing;
  const over = overAt(records, moment.nowMs, options);
  if (options.dryRun !== true) {
    for (const ref of over.receipts) records.deleteReceipt(ref);
    for (const { runId } of over.outbox) records.deleteOutbox(runId);
    for (const id of over.quarantine) records.deleteQuarantine(id);
    for (const subject of over.troubles) records.deleteTrouble(subject);
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
  const { limit, skewMs, retentionMs } = options;
  const beforeMs = nowMs - retentionMs;
  const receipts = firstOf(
    records.settledReceipts(beforeMs),
    ({ from, runId, exp }) => isPastUse(exp, nowMs, skewMs) && !records.isContinued(from, runId),
    limit,
  );
  let room = limit - receipts.length;
  const outbox = firstOf(
    records.settledOutbox(beforeMs),
    ({ exp }) => isPastUse(exp, nowMs, skewMs),
    room,
  );
  room -= outbox.length;
  const quarantine = records.oldQuarantine(beforeMs, room);
  room -= quarantine.length;
  return { receipts, outbox, quarantine, troubles: records.oldTroubles(beforeMs, room) };
}

function firstOf<T>(items: Iterable<T>, accept: (item: T) => boolean, limit: number): T[] {
  const accepted: T[] = [];
  if (limit <= 0) return accepted;
  for (const item of items) {
    if (accept(item)) accepted.push(item);
    if (accepted.length >= limit) break;
  }
  return accepted;
}
