import { asPosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import { objectKey, ownerPrefix, parseObjectKey, type ObjectName } from "../protocol/object-key.ts";
import { decodeOwner, type OwnerPayload } from "../protocol/owner.ts";
import type { Mailbox } from "./mailbox.ts";
import { readObject } from "./read-object.ts";

/**
 * The kid under which this state first claimed the gateway's name (SPEC.md, Owner), as far as that claim still
 * stands and is not by the key that signs now: then the key in the home was replaced, and peers know the other one.
 * Who may write to the store can make such a claim up from an older one, so this is for people to look at, and
 * decides nothing. Rejects as the store does.
 */
export async function formerKeyOf(box: Mailbox): Promise<string | undefined> {
  const { store, state, self, signingKey } = box;
  const page = await store.list({ prefix: ownerPrefix(self), limit: limits.listPageKeys });
  const first = page.entries.map(({ key }) => parseObjectKey(key)).find(isClaim);
  if (first === undefined) return undefined;
  const read = await readObject(store, objectKey(first));
  const found = read.status === "found" ? unverifiedClaim(read.bytes) : undefined;
  if (found === undefined || found.kid === signingKey.publicKey.kid) return undefined;
  // The nonce was this state's alone until it stood in the claim.
  return (await state.knowsOwnerNonce(found.claim.nonce)) ? found.kid : undefined;
}

function isClaim(name: ObjectName | undefined): name is ObjectName {
  return name?.kind === "owner";
}

function unverifiedClaim(bytes: Uint8Array): { kid: string; claim: OwnerPayload } | undefined {
  try {
    const { kid, untrustedPayload } = parseEnvelope("owner", bytes);
    return { kid, claim: decodeOwner(untrustedPayload) };
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust") throw error;
    return undefined;
  }
}
