import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { checkPrefix, compareNames, isStoreKey, sortNames } from "../../src/store/key.ts";
import { answersQuery, readyQuery } from "../../src/store/query.ts";

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const text = fc.string({ unit: "binary", maxLength: 12 }).filter((value) => value.isWellFormed());

describe("the order of names", () => {
  it("is that of their bytes in UTF-8", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareNames(a, b))).toBe(byBytes(a, b));
      }),
    );
    expect(compareNames("a\u{1f600}", "a\uff5a")).toBeGreaterThan(0);
    expect(compareNames("a\ud7ff", "a\ue000")).toBeLessThan(0);
  });

  it("is the one that sortNames sorts by, with and without characters beyond ASCII", () => {
    fc.assert(
      fc.property(fc.array(text), (names) => {
        expect(sortNames(names)).toEqual(names.toSorted(byBytes));
      }),
    );
    expect(sortNames(["a0", "a/", "a-b", "a.b"])).toEqual(["a-b", "a.b", "a/", "a0"]);
  });
});

describe("a key", () => {
  it("may be as long as the limits say, and not longer", () => {
    const segment = "s".repeat(limits.maxKeySegmentBytes);
    expect(isStoreKey(`${segment}/${segment}`)).toBe(true);
    expect(isStoreKey(`${segment}x`)).toBe(false);
    expect(isStoreKey(`${segment}/${segment}/s`)).toBe(false);
  });

  it("can be found by each of its beginnings", () => {
    const key = "eu-lab/inbox/hq/abc.def.cancel";
    for (let length = 0; length <= key.length; length++) checkPrefix(key.slice(0, length));
    expect(isStoreKey(key)).toBe(true);
  });
});

describe("a list query", () => {
  it("never carries a startAfter from outside of its prefix", () => {
    fc.assert(
      fc.property(fc.constantFrom("", "a", "a/", "b/c"), text, (prefix, startAfter) => {
        const ready = readyQuery({ prefix, startAfter, limit: 10 });
        const wanted = (key: string) => byBytes(key, startAfter) > 0;
        if (ready === undefined) expect(wanted(`${prefix}\u{10ffff}`)).toBe(false);
        else if (ready.startAfter === "") expect(startAfter === "" || wanted(prefix)).toBe(true);
        else expect(ready.startAfter.startsWith(prefix)).toBe(true);
      }),
    );
  });

  it("asks for 1 to listPageKeys keys", () => {
    expect(readyQuery({ prefix: "", limit: 0 })?.limit).toBe(1);
    expect(readyQuery({ prefix: "", limit: 1e9 })?.limit).toBe(limits.listPageKeys);
  });

  it("is answered only by keys below the prefix, after startAfter, ascending", () => {
    const answers = (startAfter: string, ...keys: string[]) =>
      answersQuery(
        { prefix: "a/", startAfter, limit: 10 },
        keys.map((key) => ({ key, size: 1, modifiedMs: 0 })),
      );
    expect(answers("")).toBe(true);
    expect(answers("", "a/b", "a/c")).toBe(true);
    expect(answers("a/b", "a/c")).toBe(true);
    expect(answers("a/b", "a/b")).toBe(false);
    expect(answers("", "a/c", "a/b")).toBe(false);
    expect(answers("", "a/b", "a/b")).toBe(false);
    expect(answers("", "b/c")).toBe(false);
  });
});
