import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import {
  framesInbox,
  inboxPrefix,
  objectKey,
  ownerPrefix,
  parseObjectKey,
  probePrefix,
  type ObjectName,
} from "../protocol/object-key.ts";
import { entriesBelow } from "../store/entries-below.ts";
import { isSpent } from "./cancel.ts";
import type { Mailbox } from "./mailbox.ts";
import { checkOwner, isPastClaim } from "./owner.ts";

export interface SweepOptions {
  /** Counts what would go, and writes nothing, neither to the store nor to the state. */
  readonly dryRun?: boolean;
  /** At most so many requests for listings; without it, as many as it takes. */
  readonly maxPages?: number;
  /** Ends the sweep where it is. */
  readonly signal?: AbortSignal;
}

/** How many frames objects were met, by what became of them. */
export interface SweptFrames {
  /** Deleted: they answer runs whose transcript is stored. */
  answered: number;
  /** Deleted: they answer runs that are not known here, and retention has passed. */
  unknown: number;
  /** Left in place: retention has not passed yet, or no rule makes such a name. */
  left: number;
}

/**
 * Deletes frames that answer runs whose transcript is stored: what a callee published again after that, or what
 * could not be deleted then. Frames of runs that are not known here are reported and left until retention has
 * passed. Rejects as store and state do, and with `STATE_ELSEWHERE` where what is not known here may be known
 * to the state that serves the name.
 */
export async function sweepFrames(box: Mailbox, options: SweepOptions = {}): Promise<SweptFrames> {
  const swept: SweptFrames = { answered: 0, unknown: 0, left: 0 };
  let forgets: boolean | undefined;
  await sweep(box, framesInbox(box.self), options, async (name, modifiedMs) => {
    const record = name?.kind === "frames" ? await box.state.outboxRecord(name.runId) : undefined;
    if (record !== undefined) {
      if (record.state !== "closed") return false;
      swept.answered += 1;
      return true;
    }
    const past = name?.kind === "frames" && isOlder(box, modifiedMs, limits.retentionMs);
    if (past) forgets ??= await mayForget(box, options);
    const goes = past && forgets === true;
    swept[goes ? "unknown" : "left"] += 1;
    return goes;
  });
  if (swept.left > 0) {
    const unknown = swept.left;
    box.log.warn({ unknown }, "frames of runs that are not known here are left in place");
  }
  return swept;
}

/** Deletes cancels of this gateway's inbox that have nothing left to stop; counts them. */
export function sweepCancels(box: Mailbox, options: SweepOptions = {}): Promise<number> {
  return sweep(box, inboxPrefix(box.self), options, async (name, modifiedMs) => {
    if (name?.kind !== "cancel") return false;
    return isSpent(box, { name, modifiedMs }, await box.state.receiptOfCancel(name));
  });
}

/** Deletes this gateway's own test writes that whoever made them did not come to delete; counts them. */
export function sweepProbes(box: Mailbox, options: SweepOptions = {}): Promise<number> {
  return sweep(box, probePrefix(box.self), options, async (_, modifiedMs) =>
    isOlder(box, modifiedMs, limits.staleProbeMs),
  );
}

/** Deletes this gateway's own past claims (SPEC.md, Owner); counts them. `newest` is as `checkOwner` answers. */
export function sweepOwnerKeys(
  box: Mailbox,
  newest: number,
  options: SweepOptions = {},
): Promise<number> {
  return sweep(
    box,
    ownerPrefix(box.self),
    options,
    async (name) => name?.kind === "owner" && (await isPastClaim(box, name.generation, newest)),
  );
}

/**
 * Whether an object has had its time; `modifiedMs` is by the store's clock. What lies under a name that no rule
 * makes is left, whatever the answer.
 */
type IsOver = (name: ObjectName | undefined, modifiedMs: number) => Promise<boolean>;

async function sweep(
  box: Mailbox,
  prefix: string,
  { dryRun = false, maxPages = Infinity, signal }: SweepOptions,
  isOver: IsOver,
): Promise<number> {
  let gone = 0;
  let over: ObjectKey[] = [];
  const remove = async (): Promise<void> => {
    gone += over.length;
    if (!dryRun) await removeAll(box, over);
    over = [];
  };
  for await (const { key, modifiedMs } of entriesBelow(box.store, { prefix, maxPages })) {
    if (signal?.aborted === true) break;
    const name = parseObjectKey(key);
    if (!(await isOver(name, modifiedMs)) || name === undefined) continue;
    over.push(objectKey(name));
    if (over.length === limits.listPageKeys) await remove();
  }
  await remove();
  return gone;
}

/** What the state says of them, by which they may go, must outlast the machine's power. */
async function removeAll(box: Mailbox, keys: readonly ObjectKey[]): Promise<void> {
  if (keys.length > 0) await box.state.sync();
  for (const key of keys) await box.store.delete(key);
}

/** Whether it was written so long ago by any clock of the realm. */
function isOlder(box: Mailbox, modifiedMs: number, ms: number): boolean {
  return box.clock.now() - modifiedMs > ms + limits.skewMs;
}

/**
 * What is not known here is forgotten only by the state that serves the name, and under a clock that is not
 * behind. Throws `STATE_ELSEWHERE`, or as store and state do.
 */
async function mayForget(box: Mailbox, { dryRun = false }: SweepOptions): Promise<boolean> {
  await checkOwner(box, { remember: !dryRun });
  return box.clock.now() >= (await box.state.highestClockMs());
}
