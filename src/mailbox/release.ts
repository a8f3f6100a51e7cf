import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseObjectKey, type RequestName } from "../protocol/object-key.ts";
import { requestDigestOf } from "../protocol/run-id.ts";
import type { QuarantineEntry } from "../state/quarantine.ts";
import type { Waiting } from "./admit.ts";
import type { MaxRunOf } from "./grants.ts";
import type { Mailbox } from "./mailbox.ts";
import { previewAdmission, type Preview } from "./preview.ts";

/** What was released from quarantine and waits for admission. Rejects as the state does. */
export async function releasedRequests(box: Mailbox): Promise<readonly Waiting[]> {
  const released = await box.state.releasedQuarantine({ limit: limits.releasedPerScan });
  return released.flatMap(({ id, key, size }) => {
    const name = requestNameOf(box, key);
    return name === undefined ? [] : [{ name, size, cancels: [], listedMs: null, released: id }];
  });
}

/** A request that can be put through admission from quarantine. */
export interface Releasable {
  readonly name: RequestName;
  readonly bytes: Uint8Array;
}

/** What a release would put through admission. Throws `QUARANTINE_NOT_RELEASABLE`. */
export function releasableOf(box: Mailbox, { key, bytes }: QuarantineEntry): Releasable {
  if (bytes === null) {
    throw notReleasable(
      "its bytes were left in the store: whatever is in order there is admitted by itself, the rest look at and delete there",
    );
  }
  const name = requestNameOf(box, key);
  if (name !== undefined) return { name, bytes };
  throw notReleasable(
    `${JSON.stringify(key)} is no request to ${box.self}, and only those are admitted: keep it, or run \`postern quarantine discard\``,
  );
}

/** What would become of it now, as far as the state can tell: the store is not looked at for its cancel. */
export function previewRelease(
  box: Mailbox,
  { name, bytes }: Releasable,
  maxRunOf: MaxRunOf,
): Promise<Preview> {
  const run = { from: name.from, runId: name.runId, requestDigest: requestDigestOf(bytes) };
  return previewAdmission(box, run, bytes, { maxRunOf, cancelled: () => Promise.resolve(false) });
}

function requestNameOf(box: Mailbox, key: string): RequestName | undefined {
  const name = parseObjectKey(key);
  return name?.kind === "request" && name.to === box.self ? name : undefined;
}

function notReleasable(why: string): PosternError {
  return new PosternError("QUARANTINE_NOT_RELEASABLE", `it cannot be released: ${why}`);
}
