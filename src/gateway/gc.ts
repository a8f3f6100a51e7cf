import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { checkOwner } from "../mailbox/owner.ts";
import {
  nothingSwept,
  sweepCancels,
  sweepFrames,
  sweepOwnerKeys,
  sweepProbes,
  type SweepOptions,
  type Swept,
} from "../mailbox/sweep.ts";
import { isOfOneObject } from "../mailbox/told-apart.ts";
import type { Collected } from "../state/state.ts";

export interface GcOptions extends Omit<SweepOptions, "maxPages"> {
  /** Removes what dead writers left in a folder store, or counts it, and says how much that is. */
  readonly sweepTemporaries: () => Promise<number>;
}

/** What went, or would go in a dry run. */
export interface GcReport {
  /** Rows. */
  readonly state: Collected;
  /** Objects: with a problem, those that went in spite of it. */
  readonly store: SweptStore;
  /**
   * What kept anything in the store from being looked at or deleted: what ended the sweep, else the first failure
   * at an object.
   */
  readonly problem: PosternError | null;
}

export interface SweptStore extends Readonly<Swept> {
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
  const swept = await sweepStore(box, options);
  return { state: await collectAll(box, options), ...swept };
}

async function sweepStore(
  box: Mailbox,
  options: GcOptions,
): Promise<Pick<GcReport, "store" | "problem">> {
  const store = { ...nothingSwept(), temporaries: 0 };
  let problem: PosternError | null = null;
  /** What fails at objects of one kind does not keep those of the next ones. */
  const apart = async (work: Promise<unknown>): Promise<void> => {
    try {
      await work;
    } catch (thrown) {
      const error = asPosternError(thrown);
      if (!isOfOneObject(error)) throw error;
      problem ??= error;
    }
  };
  try {
    // Before the store is opened: that alone removes them.
    store.temporaries = await options.sweepTemporaries();
    const newest = await checkOwner(box, { remember: options.dryRun !== true });
    await apart(sweepFrames(box, options, store));
    await apart(sweepCancels(box, options, store));
    await apart(sweepProbes(box, options, store));
    await apart(sweepOwnerKeys(box, newest, options, store));
  } catch (thrown) {
    problem = asPosternError(thrown);
  }
  return { store, problem };
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
