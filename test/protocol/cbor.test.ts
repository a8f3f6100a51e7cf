import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import type { ErrorCode } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { walkCbor } from "../../src/protocol/cbor-walk.ts";
import { decodeCbor, encodeCbor, type CborInput, type CborValue } from "../../src/protocol/cbor.ts";
import { codeOf } from "../base/code-of.ts";
import { mutantsOf } from "./mutations.ts";
import { cborValues, numbers, texts } from "./samples.ts";

// The exhaustive ones take a while on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function times(count: number, value: CborValue): CborValue[] {
  return Array.from({ length: count }, () => value);
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

describe("the values of RFC 8949 appendix A are written and read", () => {
  test.each<[CborValue, string]>([
    [0, "00"],
    [1, "01"],
    [10, "0a"],
    [23, "17"],
    [24, "1818"],
    [25, "1819"],
    [100, "1864"],
    [1000, "1903e8"],
    [1_000_000, "1a000f4240"],
    [1_000_000_000_000, "1b000000e8d4a51000"],
    [-1, "20"],
    [-10, "29"],
    [-100, "3863"],
    [-1000, "3903e7"],
    [1.1, "fb3ff199999999999a"],
    [1e300, "fb7e37e43c8800759c"],
    [-4.1, "fbc010666666666666"],
    [false, "f4"],
    [true, "f5"],
    [null, "f6"],
    [Uint8Array.of(), "40"],
    [Uint8Array.of(1, 2, 3, 4), "4401020304"],
    ["", "60"],
    ["a", "6161"],
    ["IETF", "6449455446"],
    ['"\\', "62225c"],
    ["\u00fc", "62c3bc"],
    ["\u6c34", "63e6b0b4"],
    ["\ud800\udd51", "64f0908591"],
    [[], "80"],
    [[1, 2, 3], "83010203"],
    [[1, [2, 3], [4, 5]], "8301820203820405"],
    [
      Array.from({ length: 25 }, (_, index) => index + 1),
      "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    ],
    [new Map(), "a0"],
    [
      new Map([
        [1, 2],
        [3, 4],
      ]),
      "a201020304",
    ],
    [
      new Map<string, CborValue>([
        ["a", 1],
        ["b", [2, 3]],
      ]),
      "a26161016162820203",
    ],
    [["a", new Map([["b", "c"]])], "826161a161626163"],
  ])("%j", (value, bytes) => {
    expect(hex(encodeCbor(value))).toBe(bytes);
    expect(decodeCbor(unhex(bytes))).toStrictEqual(value);
  });
});

describe("numbers have one form each", () => {
  test.each([
    [2 ** 32 - 1, "1affffffff"],
    [2 ** 32, "1b0000000100000000"],
    [-(2 ** 31), "3a7fffffff"],
    [-(2 ** 31) - 1, "3a80000000"],
    [-(2 ** 32), "3affffffff"],
    [-(2 ** 32) - 1, "3b0000000100000000"],
    [1_790_000_000_123, "1b000001a0c4506c7b"],
    [Number.MAX_SAFE_INTEGER, "1b001fffffffffffff"],
    [Number.MIN_SAFE_INTEGER, "3b001ffffffffffffe"],
    [2 ** 53, "fb4340000000000000"],
    [-(2 ** 53), "fbc340000000000000"],
    [2 ** 64, "fb43f0000000000000"],
    [0.5, "fb3fe0000000000000"],
    [5e-324, "fb0000000000000001"],
    [Number.MAX_VALUE, "fb7fefffffffffffff"],
  ])("%d", (number, bytes) => {
    expect(hex(encodeCbor(number))).toBe(bytes);
    expect(decodeCbor(unhex(bytes))).toBe(number);
  });

  test("-0 is written as 0, as a map key too", () => {
    expect(hex(encodeCbor(-0))).toBe("00");
    expect(hex(encodeCbor(new Map([[-0, -0]])))).toBe("a10000");
  });

  test("every number comes back as it was", () => {
    fc.assert(
      fc.property(numbers, (number) => {
        expect(decodeCbor(encodeCbor(number))).toBe(number);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("encoder against decoder", () => {
  test("every value comes back as it was", () => {
    fc.assert(
      fc.property(cborValues, (value) => {
        expect(decodeCbor(encodeCbor(value))).toStrictEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  test("the order of a map's entries makes no difference", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.oneof(texts, fc.maxSafeInteger()), fc.boolean())),
        (entries) => {
          const map = new Map(entries);
          expect(encodeCbor(new Map([...map].toReversed()))).toEqual(encodeCbor(map));
        },
      ),
    );
  });

  test("whatever is accepted is the one encoding of its value", () => {
    fc.assert(
      fc.property(cborValues, fc.nat(), fc.nat({ max: 255 }), (value, place, byte) => {
        const bytes = encodeCbor(value);
        bytes[place % bytes.length] = byte;
        if (codeOf(() => decodeCbor(bytes)) === "accepted") {
          expect(encodeCbor(decodeCbor(bytes))).toEqual(bytes);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("every other way to write a value is refused", () => {
    fc.assert(
      fc.property(cborValues, (value) => {
        const encoded = encodeCbor(value);
        fc.pre(encoded.length < 500);
        const survivors = mutantsOf(encoded).filter(
          ({ bytes }) => !codeOf(() => decodeCbor(bytes)).startsWith("CBOR_"),
        );
        expect(survivors).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  test("every truncation is refused", () => {
    fc.assert(
      fc.property(cborValues, (value) => {
        const bytes = encodeCbor(value);
        fc.pre(bytes.length < 500);
        const lengths = Array.from({ length: bytes.length }, (_, length) => length);
        const codes = new Set(
          lengths.map((length) => codeOf(() => decodeCbor(bytes.subarray(0, length)))),
        );
        expect([...codes]).toEqual(["CBOR_MALFORMED"]);
      }),
    );
  });

  test("random bytes are a value or a coded refusal", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(codeOf(() => decodeCbor(bytes))).toMatch(/^(accepted|CBOR_.*)$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("plain objects", () => {
  test("are maps whose undefined fields are not there", () => {
    const { b, ...rest } = { b: undefined, a: 1, long: { c: undefined } };
    expect(decodeCbor(encodeCbor({ b, ...rest }))).toStrictEqual(
      new Map<string, CborValue>([
        ["a", 1],
        ["long", new Map()],
      ]),
    );
  });

  test("may have no prototype, and keys that look like one", () => {
    const value: Record<string, CborInput> = Object.create(null) as Record<string, CborInput>;
    value["__proto__"] = { polluted: true };
    value["constructor"] = 1;
    const read = decodeCbor(encodeCbor(value));
    expect(read).toStrictEqual(
      new Map<string, CborValue>([
        ["__proto__", new Map([["polluted", true]])],
        ["constructor", 1],
      ]),
    );
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });
});

test("the integer 1 and the text 1 are two keys", () => {
  const map = new Map<number | string, string>([
    [1, "a number"],
    ["1", "a text"],
  ]);
  expect(decodeCbor(encodeCbor(map))).toStrictEqual(map);
});

test.each([1, 3, 20, 63, 64, 65, 66, 67, 140, 300, 5000])(
  "a byte order mark before %d letters stays in the text, wherever the text stands",
  (letters) => {
    const text = `\u{feff}${"x".repeat(letters)}`;
    const value = new Map<string | number, CborValue>([
      [1, [text, "between", `\u{feff}${text}`, "\u{feff}"]],
      [text, Uint8Array.of(0xef, 0xbb, 0xbf)],
    ]);
    expect(decodeCbor(encodeCbor(value))).toStrictEqual(value);
  },
);

test.each([1, 60, 61, 62, 63, 64, 65, 100, 5000])(
  "two keys of %d letters that differ in a byte order mark alone are two, and what follows is as it was",
  (letters) => {
    const key = "x".repeat(letters);
    const value = new Map<string, CborValue>([
      [
        "meta",
        new Map([
          [key, "one"],
          [`\u{feff}${key}`, "two"],
        ]),
      ],
      ["prompt", new Map([["text", "as it was signed"]])],
    ]);
    expect(decodeCbor(encodeCbor(value))).toStrictEqual(value);
  },
);

test("no native code reads the bytes, on any machine", () => {
  const loaded = Object.keys(createRequire(import.meta.url).cache);
  expect(loaded.filter((file) => file.includes("cbor-x"))).toHaveLength(1);
  expect(loaded.filter((file) => file.includes("cbor-extract"))).toEqual([]);
});

describe("memory is not shared", () => {
  test("by what was decoded and the bytes it came from", () => {
    const bytes = encodeCbor([Uint8Array.of(1, 2, 3), "text"]);
    const [content] = decodeCbor(bytes) as [Uint8Array];
    bytes.fill(0xff);
    expect(content).toStrictEqual(Uint8Array.of(1, 2, 3));
    expect(content.buffer).not.toBe(bytes.buffer);
  });

  test("by two encodings, or by an encoding and what it was made from", () => {
    const source = Uint8Array.of(1, 2, 3);
    const first = encodeCbor(source);
    source.fill(9);
    encodeCbor(Uint8Array.of(7, 7, 7));
    expect(hex(first)).toBe("43010203");
    expect(first.buffer.byteLength).toBe(first.length);
  });

  test("and a Buffer, or a view into one, reads as plain bytes and is left as it was", () => {
    const buffer = Buffer.from("ff4301020300", "hex").subarray(1, 5);
    const keys = Reflect.ownKeys(buffer);
    const value = decodeCbor(buffer);
    expect(value).toStrictEqual(Uint8Array.of(1, 2, 3));
    expect(Reflect.ownKeys(buffer)).toEqual(keys);
    expect(hex(encodeCbor([buffer]))).toBe("814443010203");
  });
});

describe("what has no form is not written", () => {
  const cycle: CborInput[] = [];
  cycle.push(cycle);
  const bush: CborInput[] = [];
  for (let index = 0; index < 10; index += 1) bush.push(bush);
  const nested = (depth: number): CborInput => {
    let value: CborInput = [];
    for (let level = 1; level < depth; level += 1) value = [value];
    return value;
  };

  test.each<[string, unknown, ErrorCode]>([
    ["NaN", Number.NaN, "CBOR_FORBIDDEN"],
    ["infinity", [Number.NEGATIVE_INFINITY], "CBOR_FORBIDDEN"],
    ["undefined", undefined, "CBOR_FORBIDDEN"],
    ["undefined in an array", [undefined], "CBOR_FORBIDDEN"],
    ["a hole in an array", Array.from({ length: 2 }), "CBOR_FORBIDDEN"],
    ["undefined in a Map", new Map([["a", undefined]]), "CBOR_FORBIDDEN"],
    ["a bigint", 1n, "CBOR_FORBIDDEN"],
    ["a function", () => 1, "CBOR_FORBIDDEN"],
    ["a symbol", Symbol("a"), "CBOR_FORBIDDEN"],
    ["a date", new Date(0), "CBOR_FORBIDDEN"],
    ["a set", new Set([1]), "CBOR_FORBIDDEN"],
    ["an error", new Error("a"), "CBOR_FORBIDDEN"],
    ["a class's object", new URL("file:///a"), "CBOR_FORBIDDEN"],
    ["an array of 16-bit numbers", new Uint16Array(2), "CBOR_FORBIDDEN"],
    ["half a surrogate pair", "a\ud800", "CBOR_FORBIDDEN"],
    ["half a surrogate pair in a key", { "\udc00": 1 }, "CBOR_FORBIDDEN"],
    ["a fractional key", new Map([[1.5, 1]]), "CBOR_FORBIDDEN"],
    ["a key beyond 2^53 - 1", new Map([[2 ** 53, 1]]), "CBOR_FORBIDDEN"],
    ["a boolean key", new Map([[true, 1]]), "CBOR_FORBIDDEN"],
    ["a cycle", cycle, "CBOR_TOO_DEEP"],
    ["a cycle through a Map", new Map([["a", cycle]]), "CBOR_TOO_DEEP"],
    ["one level too many", nested(limits.maxCborDepth + 1), "CBOR_TOO_DEEP"],
    ["too many items", times(limits.maxCborItems, null), "CBOR_TOO_LARGE"],
    ["a cycle with many branches", bush, "CBOR_TOO_DEEP"],
    [
      "a bush of shared parts",
      Array.from({ length: 20 }).reduce<unknown>((part) => [part, part], 0),
      "CBOR_TOO_LARGE",
    ],
  ])("%s", (_, value, code) => {
    expect(codeOf(() => encodeCbor(value as CborInput))).toBe(code);
  });

  test("and the bounds of writing are those of reading", () => {
    for (const value of [nested(limits.maxCborDepth), times(limits.maxCborItems - 1, null)]) {
      const bytes = encodeCbor(value);
      expect(codeOf(() => walkCbor(bytes))).toBe("accepted");
    }
  });
});

describe("work and memory", () => {
  /** The processor time of this thread, in milliseconds, that so many decodings take. */
  function workOf(bytes: Uint8Array, decodings: number): number {
    const start = process.threadCpuUsage();
    for (let done = 0; done < decodings; done += 1) decodeCbor(bytes);
    const { user, system } = process.threadCpuUsage(start);
    return (user + system) / 1000;
  }

  test.each<[string, (size: number) => CborInput]>([
    ["one text", (size) => "é".repeat(size * 4)],
    ["one byte string", (size) => new Uint8Array(size * 8)],
    ["texts with byte order marks", (size) => times(size / 16, `\u{feff}${"x".repeat(100)}`)],
    ["small numbers", (size) => times(size / 2, 7)],
    [
      "long keys",
      (size) =>
        Object.fromEntries(
          Array.from({ length: size / 64 }, (_, key) => [`${"k".repeat(200)}${key}`, 0]),
        ),
    ],
    ["small maps", (size) => Array.from({ length: size / 8 }, (_, key) => ({ a: key, b: "c" }))],
  ])("an input sixteen times as long takes no more work than sixteen short ones: %s", (_, make) => {
    const short = encodeCbor(make(4096));
    const long = encodeCbor(make(65_536));
    expect(long.length / short.length).toBeGreaterThan(15);
    workOf(short, 32);
    // The least of several ratios: what else the machine does only ever adds. Quadratic work would give 16.
    const ratios = Array.from(
      { length: 3 },
      () => workOf(long, 5) / Math.max(workOf(short, 5 * 16), 20),
    );
    expect(Math.min(...ratios)).toBeLessThan(6);
  });

  test.each([
    ["empty maps", new Map()],
    ["empty arrays", []],
    ["empty byte strings", new Uint8Array()],
    ["letters", "é"],
  ])("as many %s as are allowed fit into 64 MiB", (_, value) => {
    const bytes = encodeCbor(times(limits.maxCborItems - 1, value));
    const before = process.memoryUsage();
    const read = decodeCbor(bytes);
    const after = process.memoryUsage();
    expect(read).toHaveLength(limits.maxCborItems - 1);
    const grown = after.heapUsed + after.external - before.heapUsed - before.external;
    expect(grown).toBeLessThan(64 * 1024 * 1024);
  });
});

test("a text is cut by bytes, not by characters", () => {
  expect(hex(encodeCbor("水".repeat(100)).subarray(0, 3))).toBe("79012c");
  expect(decodeCbor(encodeCbor("水".repeat(100)))).toBe("水".repeat(100));
  expect(utf8("水".repeat(100))).toHaveLength(300);
});
