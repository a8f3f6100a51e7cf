import type { Receipt } from "../protocol/receipt.ts";
import type { AskedOverview, OutboxRecord } from "./outbox.ts";
import type { BucketOverview, QuarantineEntry } from "./quarantine.ts";
import type { ReceivedOverview } from "./state.ts";

/** Counts receipts as `Records.receivedOverview` does. */
export function receivedOverviewOf(receipts: readonly Receipt[]): ReceivedOverview {
  const inState = (state: Receipt["state"]): Receipt[] =>
    receipts.filter((receipt) => receipt.state === state);
  const [admitted, running, ended] = [inState("admitted"), inState("running"), inState("ended")];
  return {
    admitted: admitted.length,
    running: running.length,
    ended: ended.length,
    unpublished: ended.filter((receipt) => receipt.ended?.acknowledged === false).length,
    oldestOpenMs: earliest([...admitted, ...running].map(({ receivedMs }) => receivedMs)),
  };
}

/** Counts asked runs as `Records.askedOverview` does. */
export function askedOverviewOf(records: readonly OutboxRecord[]): AskedOverview {
  const inState = (state: OutboxRecord["state"]): OutboxRecord[] =>
    records.filter((record) => record.state === state);
  const open = inState("open");
  return {
    open: open.length,
    unknown: inState("unknown").length,
    closed: inState("closed").length,
    oldestOpenMs: earliest(open.map(({ openedMs }) => openedMs)),
  };
}

/** Counts quarantined objects as `Records.bucketOverviews` does. */
export function bucketOverviewsOf(entries: readonly QuarantineEntry[]): BucketOverview[] {
  return [...Map.groupBy(entries, ({ bucket }) => bucket)]
    .map(([bucket, held]) => ({
      bucket,
      entries: held.length,
      bytes: held.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0),
      released: held.filter(({ released }) => released).length,
    }))
    .toSorted((a, b) => (a.bucket < b.bucket ? -1 : 1));
}

function earliest(moments: readonly number[]): number | null {
  return moments.length === 0 ? null : Math.min(...moments);
}
