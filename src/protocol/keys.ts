import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { Point } from "@noble/ed25519";
import { sha256, toBase32 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { encodeCbor } from "./cbor.ts";

/** A vetted Ed25519 public key; `publicKeyFromBytes` alone makes one. */
export interface PublicKey {
  /** 32 bytes, canonical, not of small order. */
  readonly bytes: Uint8Array;
  /** COSE key thumbprint (RFC 9679, SHA-256): 32 bytes; the `kid` of envelopes. */
  readonly thumbprint: Uint8Array;
  /** The thumbprint in base32, 52 characters: how keys are looked up and shown. */
  readonly kid: string;
}

export interface SigningKey {
  readonly publicKey: PublicKey;
  /** The 64 signature bytes of Ed25519 (RFC 8032) over `message`. */
  sign(message: Uint8Array): Uint8Array;
}

const keyBytes = 32;
const signatureBytes = 64;
/** What comes before the 32 bytes of a key in SubjectPublicKeyInfo and in PKCS #8 (RFC 8410). */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/** The eight points of small order, as RFC 8032 encodes them. */
const smallOrderPoints: ReadonlySet<string> = new Set([
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]);

/** The platform's form of each vetted key. */
const platformKeys = new WeakMap<PublicKey, KeyObject>();

/** Throws `KEY_INVALID` for bytes that are no canonical point (RFC 8032 section 5.1.3), or one of small order. */
export function publicKeyFromBytes(bytes: Uint8Array): PublicKey {
  const own = Uint8Array.from(bytes);
  requireSoundPoint(own);
  const thumbprint = thumbprintOf(own);
  const key: PublicKey = { bytes: own, thumbprint, kid: toBase32(thumbprint) };
  const spki = Buffer.concat([spkiPrefix, own]);
  platformKeys.set(key, createPublicKey({ key: spki, format: "der", type: "spki" }));
  return key;
}

function requireSoundPoint(bytes: Uint8Array): void {
  try {
    Point.fromBytes(bytes, false);
  } catch (cause) {
    throw new PosternError(
      "KEY_INVALID",
      "a public key is 32 bytes that encode a point of Ed25519 canonically",
      {
        cause,
      },
    );
  }
  if (isSmallOrder(bytes)) {
    throw new PosternError(
      "KEY_INVALID",
      "a public key of small order fits signatures it never made; make a new key",
    );
  }
}

function isSmallOrder(point: Uint8Array): boolean {
  return smallOrderPoints.has(Buffer.from(point).toString("hex"));
}

/** RFC 9679 section 3 over the OKP key of RFC 9053 section 7.2: kty OKP, crv Ed25519, x. */
function thumbprintOf(bytes: Uint8Array): Uint8Array {
  const required = new Map<number, number | Uint8Array>([
    [1, 1],
    [-1, 6],
    [-2, bytes],
  ]);
  return sha256(encodeCbor(required));
}

/** `seed`: 32 secret bytes. Throws `KEY_INVALID`. */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.length !== keyBytes) {
    throw new PosternError(
      "KEY_INVALID",
      `a signing key's seed is ${keyBytes} bytes, not ${seed.length}`,
    );
  }
  const pkcs8 = Buffer.concat([pkcs8Prefix, seed]);
  try {
    return new Ed25519SigningKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  } finally {
    pkcs8.fill(0);
  }
}

/** The secret stays behind a private field: nothing that prints or serialises the object shows it. */
class Ed25519SigningKey implements SigningKey {
  readonly publicKey: PublicKey;
  readonly #secret: KeyObject;

  constructor(secret: KeyObject) {
    const spki = createPublicKey(secret).export({ format: "der", type: "spki" });
    this.publicKey = publicKeyFromBytes(spki.subarray(spkiPrefix.length));
    this.#secret = secret;
  }

  sign(message: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, message, this.#secret));
  }
}

/**
 * Whether `signature` is one over `message` under `key`, strictly: S below the group's order, R canonical and
 * not of small order, and the equation of RFC 8032 section 5.1.7 without the cofactor. The platform checks all of
 * it but R's order, which only some versions of OpenSSL refuse. Throws `KEY_INVALID` for a key that was not vetted.
 */
export function verifySignature(
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const platformKey = platformKeys.get(key);
  if (platformKey === undefined) {
    throw new PosternError(
      "KEY_INVALID",
      `key ${key.kid} was not vetted; make it by publicKeyFromBytes`,
    );
  }
  if (signature.length !== signatureBytes || isSmallOrder(signature.subarray(0, keyBytes)))
    return false;
  return verify(null, message, platformKey, signature);
}

/** The kid in groups of four, for people to compare. */
export function fingerprintOf(key: Pick<PublicKey, "kid">): string {
  return (key.kid.match(/.{4}/g) ?? []).join("-");
}
