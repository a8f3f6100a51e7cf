import type { ObjectKey } from "../base/names.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import { digest16Of, framesPrefix, objectKey, parseObjectKey } from "../protocol/object-key.ts";
import type { RunRef } from "../protocol/receipt.ts";
import { entriesBelow } from "../store/entries-below.ts";
import type { Mailbox } from "./mailbox.ts";
import { readObject } from "./read-object.ts";

/**
 * The highest attempt among frames for a request that verify under this gateway's own key, 0 for none: what
 * a state that was lost may have published. Rejects as the store does.
 */
export async function highestOwnAttempt(box: Mailbox, run: RunRef): Promise<number> {
  const { from, runId, requestDigest } = run;
  const prefix = framesPrefix({
    to: from,
    from: box.self,
    runId,
    digest16: digest16Of(requestDigest),
  });
  let highest = 0;
  for await (const { key } of entriesBelow(box.store, { prefix })) {
    const name = parseObjectKey(key);
    if (name?.kind !== "frames" || name.attempt <= highest) continue;
    if (await isOwnFrames(box, objectKey(name))) highest = name.attempt;
  }
  return highest;
}

async function isOwnFrames(box: Mailbox, key: ObjectKey): Promise<boolean> {
  const got = await readObject(box.store, key);
  if (got.status !== "found") return false;
  try {
    parseEnvelope("frames", got.bytes).verify(box.signingKey.publicKey, { realm: box.realm, key });
    return true;
  } catch {
    return false;
  }
}
