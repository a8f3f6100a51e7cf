import { isNonce } from "../base/names.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { payloadFields } from "./request.ts";

/**
 * A claim that one state, and no other, serves a gateway's name (SPEC.md, Owner). `nonce` is 26 characters of
 * base32 that the claiming state committed before it published the claim.
 */
export interface OwnerPayload {
  readonly generation: number;
  readonly nonce: string;
}

export function encodeOwner(payload: OwnerPayload): Uint8Array {
  return encodeCbor({ v: 1, ...payload });
}

/** Throws `VERSION_UNSUPPORTED`, `PAYLOAD_INVALID` or a `CBOR_*` code. */
export function decodeOwner(bytes: Uint8Array): OwnerPayload {
  const fields = payloadFields(decodeCbor(bytes), "owner");
  return {
    generation: fields.integer("generation", 1, 9_999_999_999),
    nonce: fields.name("nonce", "26 characters of base32", isNonce),
  };
}
