import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  equalBytes,
  fromBase32,
  fromBase64Url,
  fromUtf8,
  sha256,
  toBase32,
  toBase64Url,
  utf8,
} from "../../src/base/bytes.ts";
import { codeOf } from "./code-of.ts";

describe("base32", () => {
  test.each([
    ["", ""],
    ["f", "my"],
    ["fo", "mzxq"],
    ["foo", "mzxw6"],
    ["foob", "mzxw6yq"],
    ["fooba", "mzxw6ytb"],
    ["foobar", "mzxw6ytboi"],
  ])("writes %j as RFC 4648 does, in lower case and unpadded", (text, encoded) => {
    expect(toBase32(utf8(text))).toBe(encoded);
    expect(fromBase32(encoded)).toEqual(utf8(text));
  });

  test("reads back whatever it writes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(fromBase32(toBase32(bytes))).toEqual(bytes);
      }),
    );
  });

  test("reads each value from one spelling only", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."abq27=A1 "), maxLength: 12 }), (text) => {
        const bytes = fromBase32(text);
        if (bytes !== undefined) expect(toBase32(bytes)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(["MY", "my======", "mz", "a", "aaa", "aaaaaa", "m1", "m y", "m\u{1f600}"])(
    "refuses %j",
    (text) => {
      expect(fromBase32(text)).toBeUndefined();
    },
  );
});

describe("base64url", () => {
  test("reads back whatever it writes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
      }),
    );
  });

  test.each(["Zg==", "Zh", "Z", "Zm9v\n", "+/+/", "Zm9v Zm9v"])("refuses %j", (text) => {
    expect(fromBase64Url(text)).toBeUndefined();
  });
});

describe("utf-8", () => {
  const codePoints = fc
    .oneof(fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
    .map((point) => String.fromCodePoint(point));

  test("reads back every well-formed text, a byte order mark included", () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoints }), (text) => {
        expect(fromUtf8(utf8(`\u{feff}${text}`))).toBe(`\u{feff}${text}`);
      }),
    );
  });

  test.each([
    ["a lone continuation", [0x80]],
    ["an overlong form", [0xc0, 0x80]],
    ["half a surrogate pair", [0xed, 0xa0, 0x80]],
    ["a code point beyond Unicode", [0xf4, 0x90, 0x80, 0x80]],
    ["a cut sequence", [0xe2, 0x82]],
  ])("refuses %s", (_, bytes) => {
    expect(codeOf(() => fromUtf8(Uint8Array.from(bytes)))).toBe("CBOR_MALFORMED");
  });
});

test("sha256 is the one of FIPS 180-4", () => {
  expect(Buffer.from(sha256(utf8("abc"))).toString("hex")).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

test("equalBytes compares content and length", () => {
  expect(equalBytes(utf8("ab"), utf8("ab"))).toBe(true);
  expect(equalBytes(utf8("ab"), utf8("ac"))).toBe(false);
  expect(equalBytes(utf8("ab"), utf8("abc"))).toBe(false);
});
