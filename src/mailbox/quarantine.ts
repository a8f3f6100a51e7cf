import type { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName, ObjectKey } from "../base/names.ts";
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

/** Remembers what was refused, with the reason. True when the state now holds all that the object held. */
export async function quarantine(box: Mailbox, refused: Refused): Promise<boolean> {
  const known = refused.from !== undefined && isPeer(box, refused.from);
  const answer = await box.state.quarantine(
    {
      bucket: known && refused.from !== undefined ? refused.from : strangersBucket,
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
  if (answer === "over-budget") {
    box.log.warn(
      { key: refused.key, code: refused.error.code },
      "left in place: the sender's quarantine is full",
    );
  }
  return answer !== "over-budget" && refused.bytes !== null;
}

/** Takes a refused object out of the inbox once its bytes are safe in quarantine. */
export async function quarantineObject(
  box: Mailbox,
  key: ObjectKey,
  refused: Omit<Refused, "key">,
): Promise<void> {
  if (await quarantine(box, { ...refused, key })) await box.store.delete(key);
}

function isPeer(box: Mailbox, name: GatewayName): boolean {
  return box.trust.current().grantsOf(name) !== undefined;
}
