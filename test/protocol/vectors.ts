import { readFileSync } from "node:fs";
import { z } from "zod";
import { encodeCard, decodeCard } from "../../src/protocol/card.ts";
import type { CborMap, CborValue } from "../../src/protocol/cbor.ts";
import { parseEnvelope, type EnvelopeKind } from "../../src/protocol/envelope.ts";
import { decodeFrames, encodeFrames } from "../../src/protocol/frame.ts";
import { publicKeyFromBytes } from "../../src/protocol/keys.ts";
import { decodeOwner, encodeOwner } from "../../src/protocol/owner.ts";
import {
  decodeCancel,
  decodeRequest,
  encodeCancel,
  encodeRequest,
} from "../../src/protocol/request.ts";
import { isGatewayName, isRealm, type GatewayName, type Realm } from "../../src/base/names.ts";

export const vectorsFolder = new URL("../vectors/", import.meta.url);

/** One file of test/vectors, as `schema` says that it is. */
export function loadVectors<T>(name: string, schema: z.ZodType<T>): T {
  const text = readFileSync(new URL(`${name}.json`, vectorsFolder), "utf8");
  return schema.parse(JSON.parse(text));
}

export const kinds = [
  "request",
  "cancel",
  "frames",
  "card",
  "owner",
] as const satisfies readonly EnvelopeKind[];

export const hexText = z
  .string()
  .regex(/^(?:[0-9a-f]{2})*$/)
  .transform((text) => Uint8Array.from(Buffer.from(text, "hex")));
export const gatewayText = z.custom<GatewayName>(
  (text) => typeof text === "string" && isGatewayName(text),
);
export const realmText = z.custom<Realm>((text) => typeof text === "string" && isRealm(text));

/** Bytes that are so many that a vector gives pieces of them and how often each comes. */
export const partsOfBytes = z
  .array(z.tuple([hexText, z.int().min(0)]))
  .transform((parts) =>
    Uint8Array.from(
      Buffer.concat(parts.flatMap(([piece, times]) => Array.from({ length: times }, () => piece))),
    ),
  );

export const claimsOf = z.strictObject({
  iss: gatewayText,
  aud: gatewayText.exactOptional(),
  exp: z.int().exactOptional(),
  iat: z.int(),
});

const plainMap = z.array(z.tuple([z.union([z.string(), z.int()]), z.unknown()]));

/** A value as plain JSON writes it: bytes as `{"$hex"}`, maps that JSON has no form for as `{"$map"}`. */
export function fromPlain(plain: unknown): CborValue {
  if (plain === null || typeof plain === "boolean" || typeof plain === "number") return plain;
  if (typeof plain === "string") return plain;
  if (Array.isArray(plain)) return plain.map(fromPlain);
  if (typeof plain !== "object") throw new TypeError(`no plain value: ${typeof plain}`);
  if ("$hex" in plain) return hexText.parse(plain.$hex);
  // Entries, not a schema of objects: a key named __proto__ is to stay.
  const entries = "$map" in plain ? plainMap.parse(plain.$map) : Object.entries(plain);
  return new Map(entries.map(([key, value]) => [key, fromPlain(value)]));
}

/** The other way round. */
export function toPlain(value: CborValue): unknown {
  if (value instanceof Uint8Array) return { $hex: Buffer.from(value).toString("hex") };
  if (isMap(value)) {
    return { $map: [...value].map(([key, item]) => [key, toPlain(item)]) };
  }
  return isList(value) ? value.map(toPlain) : value;
}

function isMap(value: CborValue): value is CborMap {
  return value instanceof Map;
}

function isList(value: CborValue): value is readonly CborValue[] {
  return Array.isArray(value);
}

/** Reads a payload and writes what was read. */
export const rewritePayload: Readonly<Record<EnvelopeKind, (bytes: Uint8Array) => Uint8Array>> = {
  request: (bytes) => encodeRequest(decodeRequest(bytes)),
  cancel: (bytes) => encodeCancel(decodeCancel(bytes)),
  frames: (bytes) => encodeFrames(decodeFrames(bytes)),
  card: (bytes) => encodeCard(decodeCard(bytes)),
  owner: (bytes) => encodeOwner(decodeOwner(bytes)),
};

/** Reads an envelope to the end of verification: the payload's bytes. */
export function openEnvelope(at: {
  readonly kind: EnvelopeKind;
  readonly envelope: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly realm: Realm;
  readonly key: string;
}): Uint8Array {
  const parsed = parseEnvelope(at.kind, at.envelope);
  return parsed.verify(publicKeyFromBytes(at.publicKey), { realm: at.realm, key: at.key });
}
