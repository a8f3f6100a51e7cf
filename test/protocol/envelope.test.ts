import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import type { ErrorCode } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { decodeCbor, encodeCbor, type CborValue } from "../../src/protocol/cbor.ts";
import { signCose } from "../../src/protocol/cose.ts";
import {
  parseEnvelope,
  signEnvelope,
  type Claims,
  type EnvelopeKind,
} from "../../src/protocol/envelope.ts";
import { codeOf } from "../base/code-of.ts";
import { concat, mutantsOf } from "./mutations.ts";
import {
  callee,
  caller,
  callerKey,
  envelopeSamples,
  strangerKey,
  type EnvelopeSample,
} from "./samples.ts";

// The exhaustive ones take a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

/** Everything that is done to received bytes: parse, verify, decode. */
function received(sample: EnvelopeSample, bytes: Uint8Array): ErrorCode | "accepted" {
  const { kind, key, binding, decode } = sample;
  return codeOf(() => decode(parseEnvelope(kind, bytes).verify(key.publicKey, binding)));
}

describe.each(envelopeSamples)("an envelope of kind $kind", (sample) => {
  const { kind, claims, key, binding, payload, envelope } = sample;

  test("reads back what was signed", () => {
    const read = parseEnvelope(kind, envelope);
    expect(read).toMatchObject({ kind, kid: key.publicKey.kid, untrustedPayload: payload });
    expect(read.claims).toStrictEqual(claims);
    expect(read.verify(key.publicKey, binding)).toEqual(payload);
  });

  test("has the same bytes each time it is signed", () => {
    expect(signEnvelope(kind, claims, payload, key, binding)).toEqual(envelope);
  });

  test("counts in its realm and under its key only, and under the signer's key only", () => {
    const read = parseEnvelope(kind, envelope);
    const wrong = [
      [key.publicKey, { ...binding, realm: parseRealm("staging") }],
      [key.publicKey, { ...binding, key: `${binding.key}0` }],
      [key.publicKey, { ...binding, key: "" }],
      [strangerKey.publicKey, binding],
    ] as const;
    for (const [by, under] of wrong) {
      expect(codeOf(() => read.verify(by, under))).toBe("SIGNATURE_INVALID");
    }
  });

  test("is not taken for another kind", () => {
    for (const other of envelopeSamples) {
      if (other.kind === kind) continue;
      expect(codeOf(() => parseEnvelope(other.kind, envelope))).toBe("COSE_TYP_MISMATCH");
    }
  });

  test("signed by a stranger in the signer's name does not verify", () => {
    const forged = signEnvelope(kind, claims, payload, strangerKey, binding);
    expect(received(sample, forged)).toBe("SIGNATURE_INVALID");
  });

  test("every truncation is refused", () => {
    const lengths = Array.from({ length: envelope.length }, (_, length) => length);
    const codes = lengths.map((length) => received(sample, envelope.subarray(0, length)));
    expect(new Set(codes)).toEqual(new Set(["COSE_MALFORMED", "CBOR_MALFORMED"]));
  });

  test("every single flipped bit is refused", () => {
    const accepted: number[] = [];
    const changed = Uint8Array.from(envelope);
    for (let bit = 0; bit < envelope.length * 8; bit += 1) {
      const place = bit >> 3;
      changed[place] = (envelope[place] ?? 0) ^ (1 << (bit & 7));
      if (received(sample, changed) === "accepted") accepted.push(bit);
      changed[place] = envelope[place] ?? 0;
    }
    expect(accepted).toEqual([]);
  });

  test("every other way to write its outer structure is refused before the signature is looked at", () => {
    const survivors = mutantsOf(envelope.subarray(1)).filter(
      ({ bytes }) =>
        !/^(CBOR|COSE)_/.test(codeOf(() => parseEnvelope(kind, concat([0xd2], bytes)))),
    );
    expect(survivors).toEqual([]);
  });

  test("every other way to write its header is refused, even rightly signed", () => {
    const [header] = decodeCbor(envelope.subarray(1)) as [Uint8Array];
    const aad = encodeCbor(["postern/v1", binding.realm, binding.key]);
    const survivors = mutantsOf(header).filter(({ bytes }) => {
      const signature = key.sign(encodeCbor(["Signature1", bytes, aad, payload]));
      const again = concat([0xd2], encodeCbor([bytes, new Map(), payload, signature]));
      return !/^(CBOR|COSE)_/.test(codeOf(() => parseEnvelope(kind, again)));
    });
    expect(survivors).toEqual([]);
  });

  test("every other way to write its payload is refused, even rightly signed", () => {
    const mutants = mutantsOf(payload);
    const survivors = mutants.filter(
      ({ bytes }) => !codeOf(() => sample.decode(bytes)).startsWith("CBOR_"),
    );
    expect(survivors).toEqual([]);
    for (const { bytes } of mutants.slice(0, 30)) {
      expect(received(sample, signEnvelope(kind, claims, bytes, key, binding))).toMatch(/^CBOR_/);
    }
  });

  test("bytes changed at random are refused with a code, never with a fault", () => {
    const edits = fc.record({
      from: fc.nat({ max: envelope.length }),
      removed: fc.nat({ max: 40 }),
      put: fc.oneof(
        fc.uint8Array({ maxLength: 12 }),
        fc.nat({ max: envelope.length }).map((at) => envelope.slice(at, at + 30)),
      ),
    });
    fc.assert(
      fc.property(fc.array(edits, { minLength: 1, maxLength: 4 }), (list) => {
        let bytes = envelope;
        for (const { from, removed, put } of list) {
          bytes = concat(bytes.subarray(0, from), put, bytes.subarray(from + removed));
        }
        fc.pre(!Buffer.from(bytes).equals(envelope));
        expect(received(sample, bytes)).toMatch(/^(CBOR|COSE|CLAIMS|SIGNATURE)_/);
      }),
      { numRuns: 500 },
    );
  });

  test("payloads changed at random, and rightly signed, are read or refused with a code", () => {
    fc.assert(
      fc.property(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 3 }), (at, put) => {
        const from = at % payload.length;
        const bytes = concat(payload.subarray(0, from), put, payload.subarray(from + put.length));
        expect(codeOf(() => sample.decode(bytes))).toMatch(
          /^(accepted|CBOR_.*|PAYLOAD_INVALID|VERSION_UNSUPPORTED|KEY_INVALID)$/,
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe("claims", () => {
  const binding = { realm: parseRealm("prod"), key: "any/key" };
  const all: Claims = { iss: caller, aud: callee, iat: 1, exp: 2 };
  const typOf = (kind: EnvelopeKind): string => `application/vnd.postern.${kind}`;
  const exact: Record<EnvelopeKind, readonly (keyof Claims)[]> = {
    request: ["iss", "aud", "iat", "exp"],
    cancel: ["iss", "aud", "iat", "exp"],
    frames: ["iss", "aud", "iat"],
    card: ["iss", "iat", "exp"],
    owner: ["iss", "iat"],
  };
  const kinds = envelopeSamples.map(({ kind }) => kind);
  const claimKey = { iss: 1, aud: 3, exp: 4, iat: 6 } as const;

  function pick(names: readonly (keyof Claims)[]): Map<string | number, CborValue> {
    return new Map(names.map((name) => [claimKey[name], all[name] ?? null]));
  }

  function parsed(
    kind: EnvelopeKind,
    claims: Map<string | number, CborValue>,
  ): ErrorCode | "accepted" {
    const bytes = signCose(
      { typ: typOf(kind), claims, payload: new Uint8Array() },
      callerKey,
      new Uint8Array(),
    );
    return codeOf(() => parseEnvelope(kind, bytes));
  }

  test.each(kinds)("of a %s are exactly those of its kind, in reading", (kind) => {
    for (let bits = 0; bits < 16; bits += 1) {
      const names = (["iss", "aud", "iat", "exp"] as const).filter(
        (_, index) => ((bits >> index) & 1) === 1,
      );
      const isExact =
        names.length === exact[kind].length && names.every((name) => exact[kind].includes(name));
      expect(parsed(kind, pick(names)), names.join()).toBe(isExact ? "accepted" : "CLAIMS_INVALID");
    }
  });

  test.each(kinds)("of a %s are exactly those of its kind, in signing", (kind) => {
    const { aud, exp, ...least } = all;
    const variants: Claims[] = [least, { ...least, aud: callee }, { ...least, exp: 2 }, all];
    const codes = variants.map((claims) =>
      codeOf(() => signEnvelope(kind, claims, new Uint8Array(), callerKey, binding)),
    );
    const index = exact[kind].includes("aud")
      ? exact[kind].includes("exp")
        ? 3
        : 1
      : exact[kind].includes("exp")
        ? 2
        : 0;
    expect(codes).toEqual(
      variants.map((_, place) => (place === index ? "accepted" : "CLAIMS_INVALID")),
    );
  });

  test.each<[string, string | number, CborValue]>([
    ["cti, which no kind has yet", 7, Uint8Array.of(1)],
    ["sub", 2, "us-desk"],
    ["nbf", 5, 1],
    ["a text label", "iss", "us-desk"],
  ])("%s is refused, also in place of another", (_, label, value) => {
    const more = pick(exact.request).set(label, value);
    expect(parsed("request", more)).toBe("CLAIMS_INVALID");
    more.delete(claimKey.exp);
    expect(parsed("request", more)).toBe("CLAIMS_INVALID");
  });

  test.each<[string, number, CborValue]>([
    ["an issuer that is no gateway name", 1, "US-desk"],
    ["an empty issuer", 1, ""],
    ["an issuer with a path", 1, "us-desk/../eu"],
    ["an issuer that is bytes", 1, utf8("us-desk")],
    ["an audience that is a list", 3, ["eu-lab"]],
    ["an audience that is nil", 3, null],
    ["a negative expiry", 4, -1],
    ["an expiry with a fraction", 4, 1.5],
    ["an expiry beyond 2^53", 4, 2 ** 53],
    ["an expiry that is a text", 4, "2"],
    ["a negative issue time", 6, -1],
    ["an issue time that is true", 6, true],
  ])("%s is refused", (_, label, value) => {
    expect(parsed("request", pick(exact.request).set(label, value))).toBe("CLAIMS_INVALID");
  });

  test.each([0, Number.MAX_SAFE_INTEGER])("the time %d is signed and read", (time) => {
    const claims = { ...all, iat: time, exp: time };
    const envelope = signEnvelope("request", claims, new Uint8Array(), callerKey, binding);
    expect(parseEnvelope("request", envelope).claims).toStrictEqual(claims);
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])("the time %d is not signed", (time) => {
    for (const claims of [
      { ...all, iat: time },
      { ...all, exp: time },
    ]) {
      expect(
        codeOf(() => signEnvelope("request", claims, new Uint8Array(), callerKey, binding)),
      ).toBe("CLAIMS_INVALID");
    }
  });
});

describe("size", () => {
  const binding = { realm: parseRealm("prod"), key: "any/key" };
  const claims: Claims = { iss: parseGatewayName("a"), iat: 1 };
  const overhead =
    signEnvelope("owner", claims, new Uint8Array(70_000), callerKey, binding).length - 70_000;
  const most = limits.maxEnvelopeBytes - overhead;

  test("an envelope as large as allowed is signed and read", () => {
    const envelope = signEnvelope("owner", claims, new Uint8Array(most), callerKey, binding);
    expect(envelope).toHaveLength(limits.maxEnvelopeBytes);
    expect(parseEnvelope("owner", envelope).verify(callerKey.publicKey, binding)).toHaveLength(
      most,
    );
  });

  test.each([1, overhead, 10 * limits.maxEnvelopeBytes])(
    "one of %d bytes more is not signed",
    (more) => {
      const payload = new Uint8Array(most + more);
      expect(codeOf(() => signEnvelope("owner", claims, payload, callerKey, binding))).toBe(
        "CBOR_TOO_LARGE",
      );
    },
  );

  test("more bytes are refused before anything of them is read", () => {
    const bytes = new Uint8Array(limits.maxEnvelopeBytes + 1);
    expect(codeOf(() => parseEnvelope("request", bytes))).toBe("CBOR_TOO_LARGE");
    expect(codeOf(() => parseEnvelope("request", bytes.subarray(1)))).toBe("COSE_MALFORMED");
  });
});
