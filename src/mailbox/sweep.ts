import { limits } from "../base/limits.ts";
import { framesInbox, objectKey, parseObjectKey } from "../protocol/object-key.ts";
import type { Mailbox } from "./mailbox.ts";

/**
 * Deletes frames that answer runs whose transcript is stored: what a callee published again after that, or what
 * could not be deleted then. Frames of runs that are not known here are reported and left. Returns how many were
 * deleted. Rejects as store and state do.
 */
export async function sweepFrames(box: Mailbox): Promise<number> {
  const prefix = framesInbox(box.self);
  let deleted = 0;
  let unknown = 0;
  let startAfter: string | undefined;
  for (let pages = 0; pages < limits.sweptPages; pages += 1) {
    const after = startAfter === undefined ? {} : { startAfter };
    const page = await box.store.list({ prefix, limit: limits.listPageKeys, ...after });
    for (const { key } of page.entries) {
      const name = parseObjectKey(key);
      const record = name?.kind === "frames" ? await box.state.outboxRecord(name.runId) : undefined;
      if (record === undefined) unknown += 1;
      if (name === undefined || record?.state !== "closed") continue;
      await box.store.delete(objectKey(name));
      deleted += 1;
    }
    startAfter = page.entries.at(-1)?.key;
    if (!page.more || startAfter === undefined) break;
  }
  if (unknown > 0)
    box.log.warn({ unknown }, "frames of runs that are not known here are left in place");
  return deleted;
}
