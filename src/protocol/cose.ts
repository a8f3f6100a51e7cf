import { PosternError } from "../base/errors.ts";
import {
  decodeCbor,
  encodeCbor,
  isCborList,
  isCborMap,
  type CborMap,
  type CborValue,
} from "./cbor.ts";
import type { SigningKey } from "./keys.ts";

export interface CoseContent {
  /** What the payload is (RFC 9596). */
  readonly typ: string;
  /** CWT claims (RFC 9597). */
  readonly claims: CborMap;
  readonly payload: Uint8Array;
}

/** A COSE_Sign1 (RFC 9052 section 4.2) whose structure and headers are in order; its signature is unverified. */
export interface CoseSign1 extends CoseContent {
  /** The key thumbprint that the header names: 32 bytes. */
  readonly kid: Uint8Array;
  readonly signature: Uint8Array;
  /** What the signature is over: the protected header and the payload as they were read, never re-encoded. */
  toBeSigned(externalAad: Uint8Array): Uint8Array;
}

/** Tag 18 in its one shortest form. */
const sign1Tag = 0xd2;
const kidBytes = 32;
const signatureBytes = 64;
/** Ed25519, fully specified (RFC 9864). */
const algorithm = -19;
/** The closed set of header parameters: RFC 9052 section 3.1 (alg, kid), RFC 9597 (claims), RFC 9596 (typ). */
const label = { alg: 1, kid: 4, claims: 15, typ: 16 } as const;

/** One tagged COSE_Sign1, with all of its header protected. */
export function signCose(
  content: CoseContent,
  key: SigningKey,
  externalAad: Uint8Array,
): Uint8Array {
  const header = new Map<number, CborValue>([
    [label.alg, algorithm],
    [label.kid, key.publicKey.thumbprint],
    [label.claims, content.claims],
    [label.typ, content.typ],
  ]);
  const protectedHeader = encodeCbor(header);
  const signature = key.sign(sigStructure(protectedHeader, externalAad, content.payload));
  const body = encodeCbor([protectedHeader, new Map(), content.payload, signature]);
  const bytes = new Uint8Array(1 + body.length);
  bytes[0] = sign1Tag;
  bytes.set(body, 1);
  return bytes;
}

/**
 * Reads one tagged COSE_Sign1 whose typ is `typ`. Throws `COSE_MALFORMED`, `COSE_HEADER_INVALID`,
 * `COSE_TYP_MISMATCH` or a `CBOR_*` code.
 */
export function readCose(bytes: Uint8Array, typ: string): CoseSign1 {
  if (bytes[0] !== sign1Tag) throw malformed("does not begin with tag 18");
  const item = decodeCbor(bytes.subarray(1));
  if (!isCborList(item) || item.length !== 4) throw malformed("is not an array of four");
  const [protectedHeader, unprotected, payload, signature] = item;
  if (!(protectedHeader instanceof Uint8Array))
    throw malformed("has a protected header that is no byte string");
  if (!isCborMap(unprotected) || unprotected.size > 0)
    throw malformed("has an unprotected header that is not empty");
  if (!(payload instanceof Uint8Array)) throw malformed("has a payload that is no byte string");
  if (!(signature instanceof Uint8Array) || signature.length !== signatureBytes) {
    throw malformed(`has a signature that is not ${signatureBytes} bytes`);
  }
  return {
    ...headerOf(protectedHeader, typ),
    payload,
    signature,
    toBeSigned: (externalAad) => sigStructure(protectedHeader, externalAad, payload),
  };
}

function headerOf(
  bytes: Uint8Array,
  expectedTyp: string,
): Pick<CoseSign1, "kid" | "claims" | "typ"> {
  const header = decodeCbor(bytes);
  if (!isCborMap(header)) throw headerInvalid("the protected header is not a map");
  const kid = header.get(label.kid);
  const claims = header.get(label.claims);
  const typ = header.get(label.typ);
  if (header.get(label.alg) !== algorithm)
    throw headerInvalid(`alg (1) must be ${algorithm}, Ed25519`);
  if (!(kid instanceof Uint8Array) || kid.length !== kidBytes)
    throw headerInvalid(`kid (4) must be ${kidBytes} bytes`);
  if (!isCborMap(claims)) throw headerInvalid("CWT claims (15) must be a map");
  if (typeof typ !== "string") throw headerInvalid("typ (16) must be a text");
  if (header.size !== Object.keys(label).length)
    throw headerInvalid("there are parameters besides 1, 4, 15 and 16");
  if (typ !== expectedTyp) {
    throw new PosternError(
      "COSE_TYP_MISMATCH",
      `typ is ${JSON.stringify(typ)}, expected ${expectedTyp}`,
    );
  }
  return { kid, claims, typ };
}

/** Sig_structure of RFC 9052 section 4.4. */
function sigStructure(
  protectedHeader: Uint8Array,
  externalAad: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  return encodeCbor(["Signature1", protectedHeader, externalAad, payload]);
}

function malformed(what: string): PosternError {
  return new PosternError("COSE_MALFORMED", `the envelope ${what}`);
}

function headerInvalid(what: string): PosternError {
  return new PosternError("COSE_HEADER_INVALID", `in the envelope's header, ${what}`);
}
