import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import type { ErrorCode } from "../../src/base/errors.ts";
import { decodeCbor, encodeCbor, type CborInput, type CborValue } from "../../src/protocol/cbor.ts";
import { readCose, signCose } from "../../src/protocol/cose.ts";
import { verifySignature } from "../../src/protocol/keys.ts";
import { codeOf } from "../base/code-of.ts";
import { concat } from "./mutations.ts";
import { callerKey } from "./samples.ts";

const typ = "application/vnd.postern.request";
const claims = new Map<number, CborValue>([
  [1, "us-desk"],
  [6, 1_789_000_000],
]);
const aad = utf8("bound to this");
const payload = utf8("a payload");
const kid = callerKey.publicKey.thumbprint;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const header = new Map<number, CborValue>([
  [1, -19],
  [4, kid],
  [15, claims],
  [16, typ],
]);

/** A tagged COSE_Sign1 of these four parts, signed rightly where that can be. */
function written(parts: {
  header?: CborInput;
  unprotected?: CborInput;
  payload?: CborInput;
  signature?: CborInput;
}): Uint8Array {
  const protectedHeader = encodeCbor(parts.header ?? header);
  const toBeSigned = encodeCbor(["Signature1", protectedHeader, aad, payload]);
  const {
    unprotected = {},
    payload: content = payload,
    signature = callerKey.sign(toBeSigned),
  } = parts;
  return concat([0xd2], encodeCbor([protectedHeader, unprotected, content, signature]));
}

function read(bytes: Uint8Array): ErrorCode | "accepted" {
  return codeOf(() => readCose(bytes, typ));
}

describe("what is signed", () => {
  const bytes = signCose({ typ, claims, payload }, callerKey, aad);

  test("is a COSE_Sign1 with tag 18 and everything in the protected header", () => {
    expect(hex(bytes.subarray(0, 3))).toBe("d28458");
    expect(bytes).toEqual(written({}));
    const [protectedHeader] = decodeCbor(bytes.subarray(1)) as [Uint8Array];
    expect(decodeCbor(protectedHeader)).toStrictEqual(header);
    expect(hex(protectedHeader)).toBe(
      `a40132045820${hex(kid)}0fa2016775732d6465736b061a6aa1f94010781f${hex(utf8(typ))}`,
    );
  });

  test("reads back", () => {
    const cose = readCose(bytes, typ);
    expect(cose).toMatchObject({ typ, kid, claims, payload });
    expect(verifySignature(callerKey.publicKey, cose.toBeSigned(aad), cose.signature)).toBe(true);
  });

  test("covers the Sig_structure of RFC 9052: context, header, external data, payload", () => {
    const cose = readCose(bytes, typ);
    const protectedHeader = encodeCbor(header);
    expect(decodeCbor(cose.toBeSigned(aad))).toStrictEqual([
      "Signature1",
      protectedHeader,
      aad,
      payload,
    ]);
    expect(hex(cose.toBeSigned(aad)).startsWith("846a5369676e617475726531")).toBe(true);
    expect(
      verifySignature(callerKey.publicKey, cose.toBeSigned(utf8("bound to that")), cose.signature),
    ).toBe(false);
  });

  test("does not change when the bytes that were read do", () => {
    const copy = Uint8Array.from(bytes);
    const cose = readCose(copy, typ);
    copy.fill(0);
    expect(verifySignature(callerKey.publicKey, cose.toBeSigned(aad), cose.signature)).toBe(true);
    expect(cose.payload).toEqual(payload);
  });
});

describe("another structure is refused", () => {
  const good = written({});
  const body = good.subarray(1);

  test.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array()],
    ["no tag", body],
    ["another tag, COSE_Sign", concat([0xd8, 0x62], body)],
    ["another tag, COSE_Mac0", concat([0xd1], body)],
    ["the tag in a longer form", concat([0xd8, 0x12], body)],
    ["no array", concat([0xd2], encodeCbor("text"))],
    ["a map", concat([0xd2], encodeCbor({}))],
    ["three parts", concat([0xd2], encodeCbor([encodeCbor(header), {}, payload]))],
    [
      "five parts",
      concat([0xd2], encodeCbor([encodeCbor(header), {}, payload, new Uint8Array(64), null])),
    ],
    [
      "a protected header that is a map",
      concat([0xd2], encodeCbor([header, {}, payload, new Uint8Array(64)])),
    ],
    ["an unprotected header with something in it", written({ unprotected: new Map([[4, kid]]) })],
    ["an unprotected header that is a list", written({ unprotected: [] })],
    ["an unprotected header that is nil", written({ unprotected: null })],
    ["a nil payload", written({ payload: null })],
    ["a payload that is a text", written({ payload: "a payload" })],
    ["a signature of 63 bytes", written({ signature: new Uint8Array(63) })],
    ["a signature of 65 bytes", written({ signature: new Uint8Array(65) })],
    ["a signature that is a list", written({ signature: [] })],
  ])("%s", (_, bytes) => {
    expect(read(good)).toBe("accepted");
    expect(read(bytes)).toBe("COSE_MALFORMED");
  });

  test.each<[string, Uint8Array, ErrorCode]>([
    ["the tag twice", concat([0xd2], good), "CBOR_FORBIDDEN"],
    ["trailing bytes", concat(good, [0xf6]), "CBOR_MALFORMED"],
    ["the tag alone", Uint8Array.of(0xd2), "CBOR_MALFORMED"],
  ])("%s", (_, bytes, code) => {
    expect(read(bytes)).toBe(code);
  });
});

describe("the header is a closed set", () => {
  function without(label: number): Map<number, CborValue> {
    const rest = new Map(header);
    rest.delete(label);
    return rest;
  }

  test.each([1, 4, 15, 16])("parameter %d has to be there", (label) => {
    expect(read(written({ header: without(label) }))).toBe("COSE_HEADER_INVALID");
  });

  test.each<[string, number | string, CborValue]>([
    ["crit", 2, [1]],
    ["content type", 3, 50],
    ["IV", 5, new Uint8Array(12)],
    ["x5chain", 33, kid],
    ["a text label", "alg", -19],
    ["a text label that looks like a number", "1", -19],
    ["a private label", -65_537, true],
  ])("%s may not be there", (_, label, value) => {
    expect(
      read(written({ header: new Map<number | string, CborValue>(header).set(label, value) })),
    ).toBe("COSE_HEADER_INVALID");
  });

  test.each<[string, number, CborValue]>([
    ["EdDSA, which names no curve", 1, -8],
    ["ES256", 1, -7],
    ["alg as a text", 1, "Ed25519"],
    ["alg none", 1, null],
    ["a short kid", 4, kid.subarray(1)],
    ["a long kid", 4, concat(kid, [0])],
    ["a kid that is a text", 4, callerKey.publicKey.kid],
    ["claims that are a list", 15, [1, "us-desk"]],
    ["claims that are encoded", 15, encodeCbor(claims)],
    ["typ as a number", 16, 1],
  ])("%s is refused", (_, label, value) => {
    expect(read(written({ header: new Map(header).set(label, value) }))).toBe(
      "COSE_HEADER_INVALID",
    );
  });

  test.each([
    "application/vnd.postern.cancel",
    "vnd.postern.request",
    "Application/vnd.postern.request",
    "",
    `${typ} `,
  ])("the typ %j is not the expected one", (other) => {
    expect(read(written({ header: new Map(header).set(16, other) }))).toBe("COSE_TYP_MISMATCH");
  });

  test("a header that is no map, or empty, is refused", () => {
    expect(read(written({ header: [1, -19] }))).toBe("COSE_HEADER_INVALID");
    expect(read(written({ header: {} }))).toBe("COSE_HEADER_INVALID");
    expect(
      read(concat([0xd2], encodeCbor([new Uint8Array(), {}, payload, new Uint8Array(64)]))),
    ).toBe("CBOR_MALFORMED");
  });

  test("a header that is not in the profile is refused, whatever its signature", () => {
    const wide = concat([0xb8, 0x04], encodeCbor(header).subarray(1));
    const signature = callerKey.sign(encodeCbor(["Signature1", wide, aad, payload]));
    expect(read(concat([0xd2], encodeCbor([wide, {}, payload, signature])))).toBe(
      "CBOR_NOT_CANONICAL",
    );
  });
});
