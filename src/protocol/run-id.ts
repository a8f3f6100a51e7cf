import { sha256, toBase32 } from "../base/bytes.ts";
import type { GatewayName, Realm, RequestDigest, RunId } from "../base/names.ts";
import { encodeCbor } from "./cbor.ts";

export interface RunIdParts {
  readonly realm: Realm;
  readonly caller: GatewayName;
  readonly tenant: string | undefined;
  readonly callee: GatewayName;
  readonly idempotencyKey: string;
}

/**
 * The one identifier of a run (SPEC.md, Run id): both sides compute it, so both know where everything
 * lies without talking, and the same idempotencyKey always names the same run.
 */
export function runIdOf(parts: RunIdParts): RunId {
  const named = [
    "postern/v1/run",
    parts.realm,
    parts.caller,
    parts.tenant ?? "",
    parts.callee,
    parts.idempotencyKey,
  ];
  return toBase32(sha256(encodeCbor(named))) as RunId;
}

/** SHA-256 of the signed request's bytes: what receipts and frames answer to. */
export function requestDigestOf(envelope: Uint8Array): RequestDigest {
  return toBase32(sha256(envelope)) as RequestDigest;
}
