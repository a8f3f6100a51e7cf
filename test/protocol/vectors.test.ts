import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { fromBase32, toBase32 } from "../../src/base/bytes.ts";
import {
  isAgentName,
  isGatewayName,
  isRealm,
  isRequestDigest,
  isRunId,
  type RunId,
} from "../../src/base/names.ts";
import { isErrorCode } from "../../src/base/errors.ts";
import { decodeCbor, encodeCbor } from "../../src/protocol/cbor.ts";
import { parseEnvelope, signEnvelope } from "../../src/protocol/envelope.ts";
import { chainOf, decodeFrames } from "../../src/protocol/frame.ts";
import {
  fingerprintOf,
  publicKeyFromBytes,
  signingKeyFromSeed,
  verifySignature,
} from "../../src/protocol/keys.ts";
import { readCose } from "../../src/protocol/cose.ts";
import { digest16Of, objectKey, parseObjectKey } from "../../src/protocol/object-key.ts";
import { decodeRequest, intentDigestOf } from "../../src/protocol/request.ts";
import { requestDigestOf, runIdOf } from "../../src/protocol/run-id.ts";
import { cardText, openCard } from "../../src/trust/card.ts";
import { codeOf } from "../base/code-of.ts";
import {
  claimsOf,
  fromPlain,
  gatewayText,
  hexText,
  kinds,
  loadVectors,
  openEnvelope,
  partsOfBytes,
  realmText,
  rewritePayload,
} from "./vectors.ts";

// Every file in test/vectors is made by the other implementation, in test/interop; this one only reads them.

const code = z.string().refine(isErrorCode);
/** A row whose bytes are given whole, or in parts. */
const anyRow = z.object({
  name: z.string(),
  hex: hexText.optional(),
  parts: partsOfBytes.optional(),
  value: z.unknown().optional(),
  exact: z.boolean().optional(),
});
const withBytes = <T extends Pick<z.infer<typeof anyRow>, "hex" | "parts">>({
  hex,
  parts,
  ...rest
}: T) => ({ ...rest, bytes: hex ?? parts ?? new Uint8Array() });
const readRow = anyRow.transform(withBytes);
const refusedRow = anyRow.extend({ code }).transform(withBytes);
const readAndRefused = z.object({ valid: z.array(readRow), invalid: z.array(refusedRow) });

describe("names", () => {
  const verdicts = z.object({ valid: z.array(z.string()), invalid: z.array(z.string()) });
  const all = loadVectors(
    "names",
    z.object({ gateway: verdicts, agent: verdicts, realm: verdicts }),
  );
  const checks = { gateway: isGatewayName, agent: isAgentName, realm: isRealm };

  test.each(["gateway", "agent", "realm"] as const)("of a %s", (what) => {
    expect(all[what].valid.filter((text) => !checks[what](text))).toEqual([]);
    expect(all[what].invalid.filter(checks[what])).toEqual([]);
  });
});

describe("base32", () => {
  const rows = z.array(z.object({ hex: hexText, text: z.string() }));
  const all = loadVectors("base32", z.object({ valid: rows, invalid: z.array(z.string()) }));

  test.each(all.valid)("'$text' and its bytes are one another's", ({ hex, text }) => {
    expect(toBase32(hex)).toBe(text);
    expect(fromBase32(text)).toEqual(hex);
  });

  test.each(all.invalid)("'%s' is the text of no bytes", (text) => {
    expect(fromBase32(text)).toBeUndefined();
  });
});

describe("CBOR", () => {
  const all = loadVectors("cbor", readAndRefused);

  test.each(all.valid)("reads and writes: $name", ({ bytes, value }) => {
    const decoded = decodeCbor(bytes);
    if (value !== undefined) expect(decoded).toEqual(fromPlain(value));
    expect(encodeCbor(decoded)).toEqual(bytes);
  });

  test.each(all.invalid)("refuses with $code: $name", (row) => {
    expect(codeOf(() => decodeCbor(row.bytes))).toBe(row.code);
  });
});

describe("object keys", () => {
  const run = { to: gatewayText, from: gatewayText, runId: z.custom<RunId>(isText(isRunId)) };
  const digest16 = z.string().transform((text) => {
    const whole = text.padEnd(52, "a");
    if (!isRequestDigest(whole)) throw new TypeError(`${text} shortens no digest`);
    return digest16Of(whole);
  });
  const name = z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("card"), gateway: gatewayText, version: z.int() }),
    z.strictObject({ kind: z.literal("owner"), gateway: gatewayText, generation: z.int() }),
    z.strictObject({ kind: z.literal("probe"), gateway: gatewayText, id: z.string() }),
    z.strictObject({ kind: z.literal("request"), ...run }),
    z.strictObject({ kind: z.literal("cancel"), ...run, digest16 }),
    z.strictObject({ kind: z.literal("frames"), ...run, digest16, attempt: z.int(), seq: z.int() }),
  ]);
  const valid = z.array(z.object({ key: z.string(), name }));
  const all = loadVectors("object-key", z.object({ valid, invalid: z.array(z.string()) }));

  test.each(all.valid)("$key", ({ key, name: expected }) => {
    expect(parseObjectKey(key)).toEqual(expected);
    expect(objectKey(expected)).toBe(key);
  });

  test.each(all.invalid.map((key) => [JSON.stringify(key), key] as const))("none: %s", (_, key) => {
    expect(parseObjectKey(key)).toBeUndefined();
  });
});

describe("run ids and digests", () => {
  const runIds = z.array(
    z.object({
      realm: realmText,
      caller: gatewayText,
      tenant: z.string().optional(),
      callee: gatewayText,
      idempotencyKey: z.string(),
      runId: z.string(),
    }),
  );
  const digests = z.array(
    z.object({ hex: hexText, requestDigest: z.string(), digest16: z.string() }),
  );
  const intents = z.array(z.object({ payload: hexText, intentDigest: z.string() }));
  const all = loadVectors("run-id", z.object({ runIds, digests, intents }));

  test.each(all.runIds)("run $runId", ({ runId, tenant, ...parts }) => {
    expect(runIdOf({ ...parts, tenant })).toBe(runId);
  });

  test.each(all.digests)("digest $requestDigest", ({ hex, requestDigest, digest16 }) => {
    const digest = requestDigestOf(hex);
    expect(digest).toBe(requestDigest);
    expect(digest16Of(digest)).toBe(digest16);
  });

  test.each(all.intents)("intent $intentDigest", ({ payload, intentDigest }) => {
    expect(intentDigestOf(decodeRequest(payload))).toBe(intentDigest);
  });
});

describe("keys and signatures", () => {
  const key = z.object({
    name: z.string(),
    publicKey: hexText,
    thumbprint: hexText,
    kid: z.string(),
    fingerprint: z.string(),
  });
  const signature = z.object({
    name: z.string(),
    publicKey: hexText,
    message: hexText,
    signature: hexText,
  });
  const all = loadVectors(
    "keys",
    z.object({
      keys: z.array(key.extend({ seed: hexText })),
      sound: z.array(key),
      invalidKeys: z.array(z.object({ name: z.string(), publicKey: hexText, code })),
      signatures: z.object({ valid: z.array(signature), invalid: z.array(signature) }),
    }),
  );

  test.each([...all.keys, ...all.sound])("$name", (row) => {
    const read = publicKeyFromBytes(row.publicKey);
    expect(read.thumbprint).toEqual(row.thumbprint);
    expect(read.kid).toBe(row.kid);
    expect(fingerprintOf(read)).toBe(row.fingerprint);
  });

  test.each(all.keys)("the public key of a seed: $name", ({ seed, publicKey }) => {
    expect(signingKeyFromSeed(seed).publicKey.bytes).toEqual(publicKey);
  });

  test.each(all.invalidKeys)("no key: $name", (row) => {
    expect(codeOf(() => publicKeyFromBytes(row.publicKey))).toBe(row.code);
  });

  test.each([
    ...all.signatures.valid.map((row) => ({ ...row, verdict: true })),
    ...all.signatures.invalid.map((row) => ({ ...row, verdict: false })),
  ])("verifies ($verdict): $name", (row) => {
    const by = publicKeyFromBytes(row.publicKey);
    expect(verifySignature(by, row.message, row.signature)).toBe(row.verdict);
  });
});

describe.each(kinds)("payload of kind %s", (kind) => {
  const all = loadVectors(kind, readAndRefused);

  test.each(all.valid)("reads: $name", ({ bytes, value, exact }) => {
    const again = rewritePayload[kind](bytes);
    if (value === undefined) return expect(again).toEqual(bytes);
    expect(decodeCbor(again)).toEqual(fromPlain(value));
    expect(Buffer.compare(again, bytes) === 0).toBe(exact);
  });

  test.each(all.invalid)("refuses with $code: $name", (row) => {
    expect(codeOf(() => rewritePayload[kind](row.bytes))).toBe(row.code);
  });
});

describe("envelopes", () => {
  const place = {
    name: z.string(),
    kind: z.enum(kinds),
    publicKey: hexText,
    realm: realmText,
    key: z.string(),
  };
  const valid = z.object({
    ...place,
    seed: hexText,
    claims: claimsOf,
    payload: hexText,
    toBeSigned: hexText,
    envelope: hexText,
  });
  const invalid = z
    .object({ ...place, envelope: hexText.optional(), parts: partsOfBytes.optional(), code })
    .transform(({ envelope, parts, ...row }) => ({
      ...row,
      envelope: envelope ?? parts ?? new Uint8Array(),
    }));
  const all = loadVectors(
    "envelope",
    z.object({ valid: z.array(valid), invalid: z.array(invalid) }),
  );

  test.each(all.valid)("opens: $name", (row) => {
    expect(openEnvelope(row)).toEqual(row.payload);
    const parsed = parseEnvelope(row.kind, row.envelope);
    expect(parsed.claims).toEqual(row.claims);
    expect(parsed.kid).toBe(publicKeyFromBytes(row.publicKey).kid);
    rewritePayload[row.kind](row.payload);
  });

  test.each(all.valid)("is signed byte for byte the same: $name", (row) => {
    const { kind, claims, payload, seed, realm, key } = row;
    const signer = signingKeyFromSeed(seed);
    expect(signEnvelope(kind, claims, payload, signer, { realm, key })).toEqual(row.envelope);
    const aad = encodeCbor(["postern/v1", realm, key]);
    const read = readCose(row.envelope, `application/vnd.postern.${kind}`);
    expect(read.toBeSigned(aad)).toEqual(row.toBeSigned);
  });

  test("the example of SPEC.md is one of them", () => {
    const specification = readFileSync(
      new URL("../../src/protocol/SPEC.md", import.meta.url),
      "utf8",
    );
    const tight = specification.replaceAll(/\s/g, "");
    const owner = all.valid.find(({ kind }) => kind === "owner");
    const shown = [
      owner?.seed,
      owner?.publicKey,
      owner?.payload,
      owner?.toBeSigned,
      owner?.envelope,
    ];
    for (const bytes of shown) {
      expect(tight).toContain(
        Buffer.from(bytes ?? [])
          .toString("hex")
          .padEnd(1, "?"),
      );
    }
  });

  test("the frames of one attempt are chained", () => {
    const frames = all.valid.filter(({ kind }) => kind === "frames");
    const found = frames.map(({ payload }) => decodeFrames(payload));
    expect(frames.length).toBeGreaterThan(2);
    for (const [index, { seq, frames: said }] of found.slice(0, -1).entries()) {
      expect(found[index + 1]?.prev).toEqual(chainOf(frames[index]?.envelope ?? new Uint8Array()));
      expect(found[index + 1]?.seq).toBe(seq + said.length);
    }
  });

  test.each(all.invalid)("refuses with $code: $name", (row) => {
    expect(codeOf(() => openEnvelope(row))).toBe(row.code);
  });
});

describe("cards as text", () => {
  const shown = z.object({ name: z.string(), text: z.string() });
  const schema = z.object({
    envelope: hexText,
    valid: z.array(shown),
    invalid: z.array(shown.extend({ code })),
  });
  const all = loadVectors("card-text", schema);
  const within = parseEnvelope("card", all.envelope).claims.iat * 1000;

  test("is written as the first one", () => {
    expect(cardText(all.envelope)).toBe(all.valid[0]?.text);
  });

  test.each(all.valid)("reads: $name", ({ text }) => {
    const { card, signer } = openCard(text, within);
    expect(card.gateway).toBe(parseEnvelope("card", all.envelope).claims.iss);
    expect(signer.kid).toBe(parseEnvelope("card", all.envelope).kid);
  });

  test.each(all.invalid)("refuses with $code: $name", ({ text, code: expected }) => {
    expect(codeOf(() => openCard(text, within))).toBe(expected);
  });
});

function isText<T extends string>(is: (text: string) => text is T) {
  return (value: unknown): value is T => typeof value === "string" && is(value);
}
