import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { checkOwner } from "../mailbox/owner.ts";
import {
  sweepCancels,
  sweepFrames,
  sweepOwnerKeys,
  sweepProbes,
  type SweepOptions,
} from "../mailbox/sweep.ts";
import type { Collected } from "../state/state.ts";

export interface GcOptions extends Omit<SweepOptions, "maxPages"> {
  /** Removes what dead writers left in a folder store, or counts it, and says how much that is. */
  readonly sweepTemporaries: () => Promise<number>;
}

/** What went, or would go in a dry run. */
export interface GcReport {
  /** Rows. */
  readonly state: Collected;
  /** Objects; null when the store could not be swept to the end: then some may have gone. */
  readonly store: SweptStore | null;
  /** What kept the store from being swept. */
  readonly problem: PosternError | null;
}

export interface SweptStore {
  /** Frames that answer runs whose transcript is stored. */
  readonly answeredFrames: number;
  /** Frames that answer runs that are not known here, after retention. */
  readonly unknownFrames: number;
  /** Frames that are not known here and were left, because retention lasts or no rule makes such a name. */
  readonly leftFrames: number;
  readonly cancels: number;
  readonly probes: number;
  readonly ownerKeys: number;
  /** Unfinished files of a folder store. */
  readonly temporaries: number;
}

/**
 * Retention to its end, of which each pass does a slice: everything in state and store that is this gateway's
 * to delete and that nobody needs any more. Rejects with `CLOCK_BEHIND`, before anything is deleted, or as the
 * state does; what the store or another state stands in the way of is the report's problem.
 */
export async function gc(box: Mailbox, options: GcOptions): Promise<GcReport> {
  if (box.clock.now() < (await box.state.highestClockMs())) {
    throw new PosternError(
      "CLOCK_BEHIND",
      "the clock is behind what this state has seen: under it nothing is old enough to delete; correct it, or wait",
    );
  }
  // While the records of closed runs stand, it is known that their frames were read.
  const swept = await sweepStore(box, options).catch(asPosternError);
  const failed = swept instanceof PosternError;
  return {
    state: await collectAll(box, options),
    store: failed ? null : swept,
    problem: failed ? swept : null,
  };
}

async function sweepStore(box: Mailbox, options: GcOptions): Promise<SweptStore> {
  // Before the store is opened: that alone removes them.
  const temporaries = await options.sweepTemporaries();
  const newest = await checkOwner(box, { remember: options.dryRun !== true });
  const { answered, unknown, left } = await sweepFrames(box, options);
  return {
    answeredFrames: answered,
    unknownFrames: unknown,
    leftFrames: left,
    cancels: await sweepCancels(box, options),
    probes: await sweepProbes(box, options),
    ownerKeys: await sweepOwnerKeys(box, newest, options),
    temporaries,
  };
}

async function collectAll(
  { state }: Mailbox,
  { dryRun = false, signal }: GcOptions,
): Promise<Collected> {
  const { skewMs, retentionMs } = limits;
  // What is only counted stays, and would be counted again and again in slices.
  const limit = dryRun ? Number.MAX_SAFE_INTEGER : limits.collectPerPass;
  let all: Collected = { receipts: 0, outbox: 0, quarantine: 0, troubles: 0 };
  for (;;) {
    const slice = await state.collect({ limit, skewMs, retentionMs, dryRun });
    all = {
      receipts: all.receipts + slice.receipts,
      outbox: all.outbox + slice.outbox,
      quarantine: all.quarantine + slice.quarantine,
      troubles: all.troubles + slice.troubles,
    };
    const went = slice.receipts + slice.outbox + slice.quarantine + slice.troubles;
    if (went < limit || signal?.aborted === true) return all;
  }
}
