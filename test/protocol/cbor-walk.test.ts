import { afterEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import type { ErrorCode } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { walkCbor } from "../../src/protocol/cbor-walk.ts";
import { codeOf } from "../base/code-of.ts";

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

function walked(bytes: Uint8Array): ErrorCode | "accepted" {
  return codeOf(() => walkCbor(bytes));
}

/** The head of an item of `type` with the argument in four bytes. */
function head32(type: number, argument: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = (type << 5) | 26;
  new DataView(bytes.buffer).setUint32(1, argument);
  return bytes;
}

describe("the values of RFC 8949 appendix A", () => {
  test.each([
    ["0", "00"],
    ["23", "17"],
    ["24", "1818"],
    ["25", "1819"],
    ["100", "1864"],
    ["1000", "1903e8"],
    ["1000000", "1a000f4240"],
    ["1000000000000", "1b000000e8d4a51000"],
    ["-1", "20"],
    ["-10", "29"],
    ["-100", "3863"],
    ["-1000", "3903e7"],
    ["1.1", "fb3ff199999999999a"],
    ["1.0e+300", "fb7e37e43c8800759c"],
    ["-4.1", "fbc010666666666666"],
    ["false", "f4"],
    ["true", "f5"],
    ["null", "f6"],
    ["h''", "40"],
    ["h'01020304'", "4401020304"],
    ['""', "60"],
    ['"a"', "6161"],
    ['"IETF"', "6449455446"],
    ['""\\"', "62225c"],
    ['"ü"', "62c3bc"],
    ['"水"', "63e6b0b4"],
    ['"𐅑"', "64f0908591"],
    ["[]", "80"],
    ["[1, 2, 3]", "83010203"],
    ["[1, [2, 3], [4, 5]]", "8301820203820405"],
    ["[1 .. 25]", "98190102030405060708090a0b0c0d0e0f101112131415161718181819"],
    ["{}", "a0"],
    ["{1: 2, 3: 4}", "a201020304"],
    ['{"a": 1, "b": [2, 3]}', "a26161016162820203"],
    ['["a", {"b": "c"}]', "826161a161626163"],
    ["five pairs", "a56161614161626142616361436164614461656145"],
  ])("that the profile has pass: %s", (_, bytes) => {
    expect(walked(hex(bytes))).toBe("accepted");
  });

  test.each<[string, string, ErrorCode]>([
    ["18446744073709551615", "1bffffffffffffffff", "CBOR_FORBIDDEN"],
    ["18446744073709551616", "c249010000000000000000", "CBOR_FORBIDDEN"],
    ["-18446744073709551616", "3bffffffffffffffff", "CBOR_FORBIDDEN"],
    ["-18446744073709551617", "c349010000000000000000", "CBOR_FORBIDDEN"],
    ["0.0", "f90000", "CBOR_NOT_CANONICAL"],
    ["-0.0", "f98000", "CBOR_NOT_CANONICAL"],
    ["1.0", "f93c00", "CBOR_NOT_CANONICAL"],
    ["1.5", "f93e00", "CBOR_NOT_CANONICAL"],
    ["65504.0", "f97bff", "CBOR_NOT_CANONICAL"],
    ["100000.0", "fa47c35000", "CBOR_NOT_CANONICAL"],
    ["3.4028234663852886e+38", "fa7f7fffff", "CBOR_NOT_CANONICAL"],
    ["Infinity in 16 bits", "f97c00", "CBOR_NOT_CANONICAL"],
    ["NaN in 32 bits", "fa7fc00000", "CBOR_NOT_CANONICAL"],
    ["Infinity", "fb7ff0000000000000", "CBOR_FORBIDDEN"],
    ["NaN", "fb7ff8000000000000", "CBOR_FORBIDDEN"],
    ["-Infinity", "fbfff0000000000000", "CBOR_FORBIDDEN"],
    ["undefined", "f7", "CBOR_FORBIDDEN"],
    ["simple(16)", "f0", "CBOR_FORBIDDEN"],
    ["simple(255)", "f8ff", "CBOR_FORBIDDEN"],
    ["a date as text", "c074323031332d30332d32315432303a30343a30305a", "CBOR_FORBIDDEN"],
    ["a date as number", "c11a514b67b0", "CBOR_FORBIDDEN"],
    ["tag 23", "d74401020304", "CBOR_FORBIDDEN"],
    ["embedded CBOR", "d818456449455446", "CBOR_FORBIDDEN"],
    ["a URI", "d82076687474703a2f2f7777772e6578616d706c652e636f6d", "CBOR_FORBIDDEN"],
    ["(_ h'0102', h'030405')", "5f42010243030405ff", "CBOR_NOT_CANONICAL"],
    ['(_ "strea", "ming")', "7f657374726561646d696e67ff", "CBOR_NOT_CANONICAL"],
    ["[_ ]", "9fff", "CBOR_NOT_CANONICAL"],
    ["[1, [2, 3], [_ 4, 5]]", "83018202039f0405ff", "CBOR_NOT_CANONICAL"],
    ['{_ "a": 1}', "bf616101ff", "CBOR_NOT_CANONICAL"],
  ])("that the profile has not are refused: %s", (_, bytes, code) => {
    expect(walked(hex(bytes))).toBe(code);
  });
});

describe("what is not well-formed is refused", () => {
  test.each([
    ["nothing", ""],
    ["a second item", "0000"],
    ["a break alone", "ff"],
    ["a break in an array", "81ff"],
    ["reserved additional information 28", "1c"],
    ["reserved additional information 29", "5d"],
    ["reserved additional information 30", "fe"],
    ["an integer without a length", "1f"],
    ["a negative integer without a length", "3f"],
    ["a tag without a number", "df00"],
    ["a cut head", "1903"],
    ["a cut float", "fb3ff1999999"],
    ["a cut byte string", "44010203"],
    ["a cut text", "636161"],
    ["a byte string that claims 4 GiB", "5affffffff00"],
    ["a byte string that claims 2^63 bytes", "5b800000000000000000"],
    ["a text that claims 2^53 + 1 bytes", "7b002000000000000161"],
    ["a cut array", "8201"],
    ["an array that claims 2^32 items", "9b000000010000000000"],
    ["a map without its last value", "a20102 03"],
    ["a map that claims 2^63 entries", "bb800000000000000000"],
    ["a lone UTF-8 continuation", "6180"],
    ["overlong UTF-8", "62c080"],
    ["a surrogate in UTF-8", "63eda080"],
    ["a cut UTF-8 sequence", "62e282"],
    ["a code point beyond Unicode", "64f4908080"],
  ])("%s", (_, bytes) => {
    expect(walked(hex(bytes))).toBe("CBOR_MALFORMED");
  });
});

test("a head that announces more items than bytes follow is refused before any of them is read", () => {
  for (const bytes of ["82f7", "a1f7", "9b0020000000000000f7", "bb0010000000000000f700"]) {
    expect(walked(hex(bytes)), bytes).toBe("CBOR_MALFORMED");
  }
});

describe("what has another, shorter or ordered form is refused", () => {
  test.each([
    ["a small integer in 8 bits", "1817"],
    ["a small integer in 16 bits", "1900ff"],
    ["a small integer in 32 bits", "1a0000ffff"],
    ["a small integer in 64 bits", "1b00000000ffffffff"],
    ["a small negative integer in 8 bits", "3817"],
    ["a short byte string with a long head", "580100"],
    ["a short text with a long head", "780161"],
    ["a short array with a long head", "980100"],
    ["a short map with a long head", "b801 0000"],
    ["a text with a head of 64 bits", "7b000000000000000161"],
    ["0.0 in 64 bits", "fb0000000000000000"],
    ["-0.0 in 64 bits", "fb8000000000000000"],
    ["1.0 in 64 bits", "fb3ff0000000000000"],
    ["2^53 - 1 as a float", "fb433fffffffffffff"],
    ["-(2^53 - 1) as a float", "fbc33fffffffffffff"],
    ["keys out of order", "a2616200616100"],
    ["a longer key before a shorter one", "a262616100616200"],
    ["a text key before an integer key", "a2616100 0000"],
    ["a negative key before a positive one", "a22000 0000"],
    ["-2 before -1", "a22100 2000"],
    ["a key twice", "a2616100616100"],
    ["an integer key twice", "a201000100"],
    ["keys out of order after a nested map", "a26162a1616100616100"],
  ])("%s", (_, bytes) => {
    expect(walked(hex(bytes))).toBe("CBOR_NOT_CANONICAL");
  });

  test("keys go by their encodings: positive, negative, then texts, each the shorter first", () => {
    expect(walked(hex("a6 0000 181800 2000 381800 617a00 62616100"))).toBe("accepted");
  });
});

describe("what the profile has no place for is refused", () => {
  test.each([
    ["2^53", "1b0020000000000000"],
    ["-(2^53)", "3b001fffffffffffff"],
    ["a byte string as a key", "a14100 00"],
    ["an array as a key", "a18000"],
    ["a map as a key", "a1a000"],
    ["true as a key", "a1f500"],
    ["a float as a key", "a1fb3ff8000000000000 00"],
    ["a shared value", "d81c80"],
    ["a shared value's reference", "82d81c80d81d00"],
    ["a tag within a map", "a161 61c100"],
    ["a self-described item", "d9d9f700"],
    ["an unassigned simple value", "f820"],
  ])("%s", (_, bytes) => {
    expect(walked(hex(bytes))).toBe("CBOR_FORBIDDEN");
  });

  test("the integers next to the bounds pass, and 2^53 as a float", () => {
    for (const bytes of [
      "1b001fffffffffffff",
      "3b001ffffffffffffe",
      "fb4340000000000000",
      "fbc340000000000000",
    ]) {
      expect(walked(hex(bytes)), bytes).toBe("accepted");
    }
  });
});

describe("bounds", () => {
  test("as many containers within each other as the depth, and no more", () => {
    const nested = (depth: number, opening: string, innermost: string): Uint8Array =>
      hex(opening.repeat(depth) + innermost);
    expect(walked(nested(limits.maxCborDepth, "81", "00"))).toBe("accepted");
    expect(walked(nested(limits.maxCborDepth - 1, "81", "80"))).toBe("accepted");
    expect(walked(nested(limits.maxCborDepth, "81", "80"))).toBe("CBOR_TOO_DEEP");
    expect(walked(nested(limits.maxCborDepth, "a100", "a0"))).toBe("CBOR_TOO_DEEP");
    expect(walked(nested(limits.maxEnvelopeBytes, "81", ""))).toBe("CBOR_TOO_DEEP");
  });

  test("siblings are not depth", () => {
    const wide = new Uint8Array(1 + 2 * 20).fill(0x81);
    wide[0] = 0x94;
    for (let index = 2; index < wide.length; index += 2) wide[index] = 0x80;
    expect(walked(wide)).toBe("accepted");
  });

  test("as many items as allowed, keys and containers among them, and no more", () => {
    const array = (items: number): Uint8Array => {
      const bytes = new Uint8Array(5 + items);
      bytes.set(head32(4, items));
      return bytes;
    };
    expect(walked(array(limits.maxCborItems))).toBe("CBOR_TOO_LARGE");
    expect(walked(hex(`99ffff${"00".repeat(65_535)}`))).toBe("accepted");
    expect(limits.maxCborItems).toBe(65_536);
  });

  test("as many bytes as an envelope may have, and no more", () => {
    const text = new Uint8Array(limits.maxEnvelopeBytes).fill(0x61);
    text.set(head32(3, text.length - 5));
    expect(walked(text)).toBe("accepted");
    expect(walked(new Uint8Array(limits.maxEnvelopeBytes + 1))).toBe("CBOR_TOO_LARGE");
  });

  test("what lies outside a view is not read", () => {
    const around = hex("ff 8261 61 00 ff");
    expect(walked(around.subarray(1, 5))).toBe("accepted");
    expect(walked(around.subarray(1, 4))).toBe("CBOR_MALFORMED");
    expect(walked(Buffer.from(around).subarray(1, 5))).toBe("accepted");
  });
});

describe("work", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** How many reads of the input's bytes a walk makes. */
  function readsOf(bytes: Uint8Array): number {
    const methods = ["getUint8", "getUint16", "getUint32", "getFloat64"] as const;
    const spies = methods.map((method) => vi.spyOn(DataView.prototype, method));
    walked(bytes);
    const reads = spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
    vi.restoreAllMocks();
    return reads;
  }

  function mapOfLongKeys(bytes: number): Uint8Array {
    const keyLength = 1000;
    const entries = Math.floor(bytes / (keyLength + 4));
    const parts: Uint8Array[] = [Uint8Array.of(0xb9, entries >> 8, entries & 255)];
    for (let index = 0; index < entries; index += 1) {
      const digits = index.toString().padStart(6, "0");
      parts.push(
        Uint8Array.of(0x79, keyLength >> 8, keyLength & 255),
        utf8("k".repeat(keyLength - 6) + digits),
        hex("00"),
      );
    }
    return Uint8Array.from(Buffer.concat(parts));
  }

  function filled(bytes: number, byte: number): Uint8Array {
    const array = new Uint8Array(bytes).fill(byte);
    array.set(head32(4, bytes - 5));
    return array;
  }

  test.each<[string, (bytes: number) => Uint8Array]>([
    ["keys that differ in their last letters only", mapOfLongKeys],
    ["empty arrays", (bytes) => filled(bytes, 0x80)],
    ["empty maps", (bytes) => filled(bytes, 0xa0)],
    ["arrays opened and not filled", (bytes) => filled(bytes, 0x81)],
    ["small integers", (bytes) => filled(bytes, 0x00)],
    ["one-letter texts", (bytes) => filled(bytes, 0x61)],
  ])("is a small multiple of the input: %s", (_, make) => {
    for (const size of [4096, 16_384, 60_000]) {
      expect(readsOf(make(size)), `${size} bytes`).toBeLessThan(4 * size);
    }
  });

  test.each([
    ["empty arrays", 0x80],
    ["empty maps", 0xa0],
    ["empty texts", 0x60],
    ["nulls", 0xf6],
  ])("stops at the bound of items in a full envelope of %s", (_, byte) => {
    const bytes = filled(limits.maxEnvelopeBytes, byte);
    expect(walked(bytes)).toBe("CBOR_TOO_LARGE");
    expect(readsOf(bytes)).toBeLessThan(2 * limits.maxCborItems);
  });
});
