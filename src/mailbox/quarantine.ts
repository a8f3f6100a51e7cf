import type { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName, ObjectKey } from "../base/names.ts";
import { isStranger } from "./grants.ts";
import type { Mailbox } from "./mailbox.ts";

/** Unproven senders share one budget: their names cost nothing to invent. */
export const strangersBucket = "(strangers)";

export interface Refused {
  readonly key: string;
  readonly from: GatewayName | undefined;
  /** Null when the bytes are too many to keep, or were never read: then the object stays where it is. */
  readonly bytes: Uint8Array | null;
  readonly size: number;
  readonly error: PosternError;
}

const budget = {
  maxBytes: limits.quarantineBytesPerPeer,
  maxEntries: limits.quarantineEntriesPerPeer,
};

/** What became of a refused object: kept now, kept before, or too much of its sender's to be kept. */
export type Quarantined = "kept" | "known" | "over-budget";

/** Remembers what was refused, with the reason. */
export async function quarantine(box: Mailbox, refused: Refused): Promise<Quarantined> {
  const answer = await box.state.quarantine(
    {
      bucket: bucketOf(box, refused.from),
      key: refused.key,
      bytes: refused.bytes,
      size: refused.size,
      code: refused.error.code,
      detail: refused.error.message,
      atMs: box.clock.now(),
    },
    budget,
  );
  if (answer === "kept")
    box.log.warn({ key: refused.key, code: refused.error.code }, "quarantined");
  return answer;
}

/** For whoever meets an object over the budget: of one sender once, for any number of others may lie beside it. */
export function warnOverBudget(box: Mailbox, from: GatewayName | undefined): void {
  const bucket = bucketOf(box, from);
  box.log.warn({ bucket }, "left in place: the sender's quarantine is full");
}

/** Whose quarantine an object counts against. */
function bucketOf(box: Mailbox, from: GatewayName | undefined): string {
  return from === undefined || isStranger(box, from) ? strangersBucket : from;
}

/** Takes a refused object out of the inbox once the state holds all that it held. */
export async function quarantineObject(
  box: Mailbox,
  key: ObjectKey,
  refused: Omit<Refused, "key">,
): Promise<Quarantined> {
  const answer = await quarantine(box, { ...refused, key });
  if (answer === "over-budget" || refused.bytes === null) return answer;
  // Another process may have kept it this very moment.
  if (answer === "known") await box.state.sync();
  await box.store.delete(key);
  return answer;
}
