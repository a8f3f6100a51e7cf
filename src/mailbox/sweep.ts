import type { PosternError } from "../base/errors.ts";
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
import { isOfOneObject, toldApart } from "./told-apart.ts";

export interface SweepOptions {
  /** Counts what would go, and writes nothing, neither to the store nor to the state. */
  readonly dryRun?: boolean;
  /** At most so many requests for listings; without it, as many as it takes. */
  readonly maxPages?: number;
  /** Ends the sweep where it is. */
  readonly signal?: AbortSignal;
}

/**
 * How many objects went, or in a dry run would go, by what they are. Each counts once it is deleted: what a sweep
 * fails with takes nothing back.
 */
export interface Swept {
  /** Frames that answer runs whose transcript is stored. */
  answeredFrames: number;
  /** Frames that answer runs that are not known here, after retention. */
  unknownFrames: number;
  /** Frames that are not known here and were left, because retention lasts or no rule makes such a name. */
  leftFrames: number;
  cancels: number;
  probes: number;
  ownerKeys: number;
}

export function nothingSwept(): Swept {
  return {
    answeredFrames: 0,
    unknownFrames: 0,
    leftFrames: 0,
    cancels: 0,
    probes: 0,
    ownerKeys: 0,
  };
}

/**
 * Deletes frames that answer runs whose transcript is stored: what a callee published again after that, or what
 * could not be deleted then. Frames of runs that are not known here are reported and left until retention has
 * passed. Adds to `swept`, and answers with it.
 *
 * What fails at one object alone (`isOfOneObject`) keeps no sweep from the others: it rejects with the first such
 * failure at its end, or once those have taken it `limits.sweepFailuresMs`. Rejects at once as store and state do,
 * and with `STATE_ELSEWHERE` where what is not known here may be known to the state that serves the name.
 */
export async function sweepFrames(
  box: Mailbox,
  options: SweepOptions = {},
  swept = nothingSwept(),
): Promise<Swept> {
  let forgets: Promise<boolean> | undefined;
  const leftBefore = swept.leftFrames;
  try {
    await sweep(box, framesInbox(box.self), options, swept, async (name, modifiedMs) => {
      const record = name?.kind === "frames" ? await box.state.outboxRecord(name.runId) : undefined;
      if (record !== undefined) return record.state === "closed" ? "answeredFrames" : undefined;
      const past = name?.kind === "frames" && isOlder(box, modifiedMs, limits.retentionMs);
      if (past && (await (forgets ??= mayForget(box, options)))) return "unknownFrames";
      swept.leftFrames += 1;
      return undefined;
    });
  } finally {
    const unknown = swept.leftFrames - leftBefore;
    if (unknown > 0)
      box.log.warn({ unknown }, "frames of runs that are not known here are left in place");
  }
  return swept;
}

/** Deletes cancels of this gateway's inbox that have nothing left to stop. Answers and rejects like `sweepFrames`. */
export function sweepCancels(
  box: Mailbox,
  options: SweepOptions = {},
  swept = nothingSwept(),
): Promise<Swept> {
  return sweep(box, inboxPrefix(box.self), options, swept, async (name, modifiedMs) => {
    if (name?.kind !== "cancel") return undefined;
    const receipt = await box.state.receiptOfCancel(name);
    return isSpent(box, { name, modifiedMs }, receipt) ? "cancels" : undefined;
  });
}

/**
 * Deletes this gateway's own test writes that whoever made them did not come to delete. Answers and rejects like
 * `sweepFrames`.
 */
export function sweepProbes(
  box: Mailbox,
  options: SweepOptions = {},
  swept = nothingSwept(),
): Promise<Swept> {
  return sweep(box, probePrefix(box.self), options, swept, async (_, modifiedMs) =>
    isOlder(box, modifiedMs, limits.staleProbeMs) ? "probes" : undefined,
  );
}

/**
 * Deletes this gateway's own past claims (SPEC.md, Owner). `newest` is as `checkOwner` answers. Answers and rejects
 * like `sweepFrames`.
 */
export function sweepOwnerKeys(
  box: Mailbox,
  newest: number,
  options: SweepOptions = {},
  swept = nothingSwept(),
): Promise<Swept> {
  return sweep(box, ownerPrefix(box.self), options, swept, async (name) => {
    if (name?.kind !== "owner") return undefined;
    return (await isPastClaim(box, name.generation, newest)) ? "ownerKeys" : undefined;
  });
}

/** What an object that goes is counted as. */
type Kind = Exclude<keyof Swept, "leftFrames">;

/**
 * What an object is that has had its time; undefined for what stays. `modifiedMs` is by the store's clock. What lies
 * under a name that no rule makes is left, whatever the answer.
 */
type KindOver = (name: ObjectName | undefined, modifiedMs: number) => Promise<Kind | undefined>;

interface Over {
  readonly key: ObjectKey;
  readonly kind: Kind;
}

async function sweep(
  box: Mailbox,
  prefix: string,
  { dryRun = false, maxPages = Infinity, signal }: SweepOptions,
  swept: Swept,
  kindOver: KindOver,
): Promise<Swept> {
  const single = new SingleFailures(box);
  let over: Over[] = [];
  const remove = async (): Promise<void> => {
    // What the state says of them, by which they may go, must outlast the machine's power.
    if (!dryRun && over.length > 0) await box.state.sync();
    for (const { key, kind } of over) {
      if (signal?.aborted === true) return;
      await single.apart(async () => {
        if (!dryRun) await box.store.delete(key);
        swept[kind] += 1;
      });
    }
    over = [];
  };
  for await (const { key, modifiedMs } of entriesBelow(box.store, { prefix, maxPages })) {
    if (signal?.aborted === true) break;
    await single.apart(async () => {
      const name = parseObjectKey(key);
      const kind = await kindOver(name, modifiedMs);
      if (kind !== undefined && name !== undefined) over.push({ key: objectKey(name), kind });
    });
    if (over.length >= limits.listPageKeys) await remove();
  }
  await remove();
  if (single.first !== undefined) throw single.first;
  return swept;
}

/** What fails at one object alone does not stand in the way of the others, unless it takes too long. */
class SingleFailures {
  readonly #box: Mailbox;
  #first: PosternError | undefined;
  #spentMs = 0;

  constructor(box: Mailbox) {
    this.#box = box;
  }

  get first(): PosternError | undefined {
    return this.#first;
  }

  /** Rejects with what is not of one object alone, or with the first failure once they have taken their time. */
  async apart(work: () => Promise<void>): Promise<void> {
    const { clock } = this.#box;
    const begunMs = clock.now();
    try {
      await work();
    } catch (thrown) {
      const error = await toldApart(this.#box, thrown);
      if (!isOfOneObject(error)) throw error;
      this.#first ??= error;
      this.#spentMs += Math.max(0, clock.now() - begunMs);
      if (this.#spentMs >= limits.sweepFailuresMs) throw this.#first;
    }
  }
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
