import { toBase32 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { isGatewayName, type GatewayName, type Realm } from "../base/names.ts";
import { encodeCbor, type CborMap, type CborValue } from "./cbor.ts";
import { readCose, signCose } from "./cose.ts";
import { verifySignature, type PublicKey, type SigningKey } from "./keys.ts";

export type EnvelopeKind = "request" | "cancel" | "frames" | "card" | "owner";

/** Seconds since 1970. Which of them a kind has is said in one table; one that is missing or too many refuses. */
export interface Claims {
  readonly iss: GatewayName;
  readonly aud?: GatewayName;
  readonly iat: number;
  readonly exp?: number;
}

/** What a signature is bound to besides the payload. */
export interface Binding {
  readonly realm: Realm;
  /** The object's key below the store's prefix, as it was when signed. */
  readonly key: string;
}

/** An envelope whose structure and headers are in order and whose signature has not been looked at. */
export interface UnverifiedEnvelope {
  readonly kind: EnvelopeKind;
  /** Thumbprint of the signing key, base32. */
  readonly kid: string;
  readonly claims: Claims;
  /** The payload's bytes, unverified: only for envelopes of one's own state, which were verified before they were stored. */
  readonly untrustedPayload: Uint8Array;
  /** Throws `SIGNATURE_INVALID`; otherwise the payload's bytes, now known to be signed under `key` and `binding`. */
  verify(key: PublicKey, binding: Binding): Uint8Array;
}

type ClaimName = keyof Claims;

/** CWT claim keys (RFC 8392 section 4). */
const claimKeys: Record<ClaimName, number> = { iss: 1, aud: 3, exp: 4, iat: 6 };

/** The one table of kinds (SPEC.md, Envelope): what each is called, and exactly which claims it has. */
const kinds: Record<EnvelopeKind, { readonly typ: string; readonly claims: readonly ClaimName[] }> =
  {
    request: { typ: "application/vnd.postern.request", claims: ["iss", "aud", "exp", "iat"] },
    cancel: { typ: "application/vnd.postern.cancel", claims: ["iss", "aud", "exp", "iat"] },
    frames: { typ: "application/vnd.postern.frames", claims: ["iss", "aud", "iat"] },
    card: { typ: "application/vnd.postern.card", claims: ["iss", "exp", "iat"] },
    owner: { typ: "application/vnd.postern.owner", claims: ["iss", "iat"] },
  };

/**
 * Throws `CLAIMS_INVALID` when the claims are not those of the kind, `CBOR_TOO_LARGE` when the envelope would be
 * over `limits.maxEnvelopeBytes`.
 */
export function signEnvelope(
  kind: EnvelopeKind,
  claims: Claims,
  payload: Uint8Array,
  key: SigningKey,
  binding: Binding,
): Uint8Array {
  const content = { typ: kinds[kind].typ, claims: claimsMap(claims), payload };
  claimsOf(content.claims, kind);
  requireSize(payload.length);
  const envelope = signCose(content, key, externalAad(binding));
  requireSize(envelope.length);
  return envelope;
}

/** Throws `CBOR_*`, `COSE_*` or `CLAIMS_INVALID`. */
export function parseEnvelope(kind: EnvelopeKind, bytes: Uint8Array): UnverifiedEnvelope {
  requireSize(bytes.length);
  const cose = readCose(bytes, kinds[kind].typ);
  const kid = toBase32(cose.kid);
  return {
    kind,
    kid,
    claims: claimsOf(cose.claims, kind),
    untrustedPayload: cose.payload,
    verify(key, binding) {
      if (
        key.kid !== kid ||
        !verifySignature(key, cose.toBeSigned(externalAad(binding)), cose.signature)
      ) {
        throw new PosternError(
          "SIGNATURE_INVALID",
          `the ${kind} was not signed as it is, for realm ${binding.realm} and ${binding.key}, by key ${key.kid}`,
        );
      }
      return cose.payload;
    },
  };
}

/** What a signature covers besides the envelope: the same bytes mean nothing in another realm or under another key. */
function externalAad(binding: Binding): Uint8Array {
  return encodeCbor(["postern/v1", binding.realm, binding.key]);
}

function requireSize(bytes: number): void {
  if (bytes <= limits.maxEnvelopeBytes) return;
  throw new PosternError(
    "CBOR_TOO_LARGE",
    `an envelope of ${bytes} bytes; the most is ${limits.maxEnvelopeBytes}`,
  );
}

function claimsMap(claims: Claims): CborMap {
  const map = new Map<number, CborValue>();
  for (const name of ["iss", "aud", "exp", "iat"] as const) {
    const value = claims[name];
    if (value !== undefined) map.set(claimKeys[name], value);
  }
  return map;
}

function claimsOf(map: CborMap, kind: EnvelopeKind): Claims {
  const expected = kinds[kind].claims;
  if (map.size !== expected.length || !expected.every((name) => map.has(claimKeys[name]))) {
    throw new PosternError(
      "CLAIMS_INVALID",
      `the claims of a ${kind} are exactly ${expected.join(", ")}`,
    );
  }
  return {
    iss: gatewayClaim(map, "iss"),
    iat: timeClaim(map, "iat"),
    ...(expected.includes("aud") ? { aud: gatewayClaim(map, "aud") } : {}),
    ...(expected.includes("exp") ? { exp: timeClaim(map, "exp") } : {}),
  };
}

function gatewayClaim(map: CborMap, name: "iss" | "aud"): GatewayName {
  const value = map.get(claimKeys[name]);
  if (typeof value === "string" && isGatewayName(value)) return value;
  throw new PosternError("CLAIMS_INVALID", `the claim ${name} must be a gateway name`);
}

function timeClaim(map: CborMap, name: "iat" | "exp"): number {
  const value = map.get(claimKeys[name]);
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new PosternError("CLAIMS_INVALID", `the claim ${name} must be whole seconds since 1970`);
}
