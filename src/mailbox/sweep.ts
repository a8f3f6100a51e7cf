import { limits } from "../base/limits.ts";
import { framesInbox, objectKey, parseObjectKey } from "../protocol/object-key.ts";
import { entriesBelow } from "../store/entries-below.ts";
import type { Mailbox } from "./mailbox.ts";

/**
 * Deletes frames that answer runs whose transcript is stored: what a callee published again after that, or what
 * could not be deleted then. Frames of runs that are not known here are reported and left. Returns how many were
 * deleted. Rejects as store and state do.
 */
export async function sweepFrames(box: Mailbox): Promise<number> {
  const below = { prefix: framesInbox(box.self), maxPages: limits.sweptPages };
  let deleted = 0;
  let unknown = 0;
  for await (const { key } of entriesBelow(box.store, below)) {
    const name = parseObjectKey(key);
    const record = name?.kind === "frames" ? await box.state.outboxRecord(name.runId) : undefined;
    if (record === undefined) unknown += 1;
    if (name === undefined || record?.state !== "closed") continue;
    await box.store.delete(objectKey(name));
    deleted += 1;
  }
  if (unknown > 0)
    box.log.warn({ unknown }, "frames of runs that are not known here are left in place");
  return deleted;
}
