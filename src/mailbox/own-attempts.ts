import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import { digest16Of, framesPrefix, objectKey, parseObjectKey } from "../protocol/object-key.ts";
import type { RunRef } from "../protocol/receipt.ts";
import { entriesBelow } from "../store/entries-below.ts";
import type { Mailbox } from "./mailbox.ts";
import { readObject } from "./read-object.ts";
import { framesKey } from "./terminal.ts";

/**
 * The highest attempt among frames for a request that verify under this gateway's own key, 0 for none: what
 * a state that was lost may have published. Rejects with `STORE_UNSAFE` where very many do not verify, and as
 * the store does.
 */
export async function highestOwnAttempt(box: Mailbox, run: RunRef): Promise<number> {
  let highest = 0;
  for (;;) {
    const next = await nextOwnAttempt(box, run, highest);
    if (next === undefined) return highest;
    highest = next;
  }
}

/** The first one above another, by whichever of its frames verifies first; undefined where there is none. */
async function nextOwnAttempt(
  box: Mailbox,
  run: RunRef,
  above: number,
): Promise<number | undefined> {
  const { from: to, runId, requestDigest } = run;
  const prefix = framesPrefix({ to, from: box.self, runId, digest16: digest16Of(requestDigest) });
  const startAfter = above === 0 ? undefined : framesKey(box, run, above, limits.maxSeq);
  let forged = 0;
  for await (const { key } of entriesBelow(box.store, { prefix, startAfter })) {
    const name = parseObjectKey(key);
    if (name?.kind === "frames" && (await isOwnFrames(box, objectKey(name)))) return name.attempt;
    forged += 1;
    if (forged >= limits.attemptsPerLook) throw framesFlooded(prefix);
  }
  return undefined;
}

function framesFlooded(prefix: string): PosternError {
  const what = `too many objects below ${prefix} do not verify`;
  return new PosternError("STORE_UNSAFE", `${what}: clean it in the store`);
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
