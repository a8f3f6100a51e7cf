import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { probeStore } from "../../src/store/probe.ts";
import type { Store } from "../../src/store/store.ts";
import { rejectionCode } from "../support/rejection.ts";
import { keyOf, passesForKey } from "../support/store-key.ts";

export interface OpenedStore {
  readonly store: Store;
  remove(): Promise<void>;
}

export interface StoreContractOptions {
  /** An empty store of its own for each test. */
  readonly open: () => Promise<OpenedStore>;
  /** How many random sets of keys are listed; stores over a network take fewer. */
  readonly runs: number;
  /** False for a driver that says itself that its puts can race. */
  readonly atomic?: boolean;
}

const badKeys = [
  "",
  "/",
  "/a",
  "a/",
  "a//b",
  ".",
  "..",
  "../a",
  "a/../b",
  "a/./b",
  "a/.hidden",
  ".postern-store",
  "a\nb",
  "a\0b",
  "a\u001b[31mb",
  "a\u007fb",
  "a\u0085b",
  "a\\b",
  "a\ud800b",
  `a/${"b".repeat(limits.maxKeySegmentBytes + 1)}`,
  "é".repeat(128),
  `${"a/".repeat(limits.maxObjectKeyBytes / 2)}b`,
];

const oddKeys = [
  "odd/space and more",
  "odd/plus+and%41percent%",
  "odd/<&>\"'",
  "odd/?query#fragment",
  "odd/é-ü-漢字",
  "odd/\u{1f600}",
  "odd/\uff5a",
  "odd/~tilde=,;:@$!*()",
];

/** What every store promises, whatever lies behind it. */
export function storeContract(name: string, options: StoreContractOptions): void {
  const { open, runs, atomic = true } = options;
  const maxBytes = limits.maxEnvelopeBytes;

  describe(`${name} keeps the store's contract`, () => {
    let opened: OpenedStore;
    let store: Store;

    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(async () => {
      await store.close();
      await opened.remove();
    });

    const read = async (key: string) => {
      const result = await store.get(keyOf(key), { maxBytes });
      return result.status === "found"
        ? Buffer.from(result.bytes).toString("latin1")
        : result.status;
    };
    const putAll = async (keys: readonly string[]) => {
      await Promise.all(keys.map((key) => store.put(keyOf(key), utf8(key))));
    };
    const keysOf = async (query: { prefix: string; startAfter?: string; limit?: number }) => {
      const { entries } = await store.list({ limit: 1000, ...query });
      return entries.map(({ key }) => key);
    };
    /** All keys below the prefix, page by page. */
    const stitched = async (prefix: string, limit: number) => {
      const keys: string[] = [];
      for (;;) {
        const startAfter = keys.at(-1);
        const page = await store.list({
          prefix,
          limit,
          ...(startAfter === undefined ? {} : { startAfter }),
        });
        expect(page.entries.length).toBeLessThanOrEqual(limit);
        keys.push(...page.entries.map(({ key }) => key));
        if (!page.more) return keys;
        expect(page.entries.length).toBeGreaterThan(0);
      }
    };

    it("says which driver it is and where it lies", () => {
      expect(store.capabilities.driver).toMatch(/^(memory|file|s3)$/);
      expect(store.capabilities.location).toContain(":");
    });

    describe("get and put", () => {
      it("says absent of a key without an object", async () => {
        expect(await store.get(keyOf("a/b/c"), { maxBytes })).toEqual({ status: "absent" });
        await store.put(keyOf("a/b/d"), utf8("x"));
        expect(await store.get(keyOf("a/b/c"), { maxBytes })).toEqual({ status: "absent" });
      });

      it("gives back exactly the bytes that were put", async () => {
        const every = Uint8Array.from({ length: 256 }, (_, index) => index);
        const large = Uint8Array.from(
          { length: maxBytes },
          (_, index) => (index * 7 + index / 256) & 255,
        );
        for (const [key, bytes] of [
          [keyOf("a/every"), every],
          [keyOf("a/large"), large],
          [keyOf("a/empty"), new Uint8Array(0)],
        ] as const) {
          expect(await store.put(key, bytes)).toBe("created");
          const result = await store.get(key, { maxBytes });
          if (result.status !== "found") throw new Error(result.status);
          expect(Buffer.compare(result.bytes, bytes)).toBe(0);
        }
      });

      it("keeps its objects apart from the caller's arrays", async () => {
        const bytes = utf8("before");
        await store.put(keyOf("a/b"), bytes);
        bytes.fill(0);
        const first = await store.get(keyOf("a/b"), { maxBytes });
        if (first.status === "found") first.bytes.fill(0);
        expect(await read("a/b")).toBe("before");
      });

      it("reads an object of exactly maxBytes, and of one more says how large it is", async () => {
        await store.put(keyOf("a/b"), new Uint8Array(1000));
        expect(await store.get(keyOf("a/b"), { maxBytes: 1000 })).toMatchObject({
          status: "found",
        });
        expect(await store.get(keyOf("a/b"), { maxBytes: 999 })).toEqual({
          status: "too-large",
          size: 1000,
        });
      });

      it("takes every key that is one, however odd", async () => {
        await putAll(oddKeys);
        for (const key of oddKeys)
          expect(await read(key)).toBe(Buffer.from(key).toString("latin1"));
        const sorted = oddKeys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(await keysOf({ prefix: "odd/" })).toEqual(sorted);
        for (const key of oddKeys) expect(await keysOf({ prefix: key })).toEqual([key]);
        for (const [index, key] of sorted.entries()) {
          expect(await keysOf({ prefix: "odd/", startAfter: key })).toEqual(
            sorted.slice(index + 1),
          );
        }
      });

      it("refuses what is no key with STORE_KEY_INVALID, before anything happens", async () => {
        for (const key of badKeys.filter(passesForKey)) {
          expect(await rejectionCode(store.get(key, { maxBytes })), key).toBe("STORE_KEY_INVALID");
          expect(await rejectionCode(store.put(key, utf8("x"))), key).toBe("STORE_KEY_INVALID");
          expect(await rejectionCode(store.delete(key)), key).toBe("STORE_KEY_INVALID");
        }
        expect(await keysOf({ prefix: "" })).toEqual([]);
      });
    });

    // A store that says itself that it is not atomic promises none of this.
    const conditionalPut = () =>
      describe("conditional put", () => {
        it("never overwrites: the second put says exists and changes nothing", async () => {
          expect(await store.put(keyOf("a/b"), utf8("first"))).toBe("created");
          expect(await store.put(keyOf("a/b"), utf8("second"))).toBe("exists");
          expect(await store.put(keyOf("a/b"), utf8("first"))).toBe("exists");
          expect(await read("a/b")).toBe("first");
        });

        it("has exactly one winner among concurrent puts of one key, and its bytes stay", async () => {
          for (let round = 0; round < 5; round++) {
            const key = keyOf(`race/${round}`);
            const results = await Promise.all(
              Array.from({ length: 32 }, (_, index) => store.put(key, utf8(`racer ${index}`))),
            );
            expect(results.filter((result) => result === "created")).toHaveLength(1);
            expect(await read(`race/${round}`)).toBe(`racer ${results.indexOf("created")}`);
          }
        });

        it("is found atomic by the probe, which leaves nothing behind", async () => {
          const probe = await probeStore(store, {
            gateway: parseGatewayName("eu-lab"),
            clock: systemClock,
            random: systemRandom,
          });
          expect(probe).toMatchObject({
            conditionalPut: "atomic",
            winners: 1,
            racers: limits.probeRacers,
            listed: true,
            deleted: true,
            lagMs: 0,
            clockOffsetMs: 0,
          });
          expect(await keysOf({ prefix: "" })).toEqual([]);
        });
      });
    if (atomic) conditionalPut();

    it("shows an object only whole, to get and to list, while it is written", async () => {
      const bytes = new Uint8Array(512 * 1024).fill(7);
      const key = keyOf("a/b/large");
      const sizes = new Set<number>();
      const watch = async () => {
        for (let looks = 0; looks < 10_000; looks++) {
          const { entries } = await store.list({ prefix: "a/", limit: 10 });
          const result = await store.get(key, { maxBytes });
          for (const entry of entries) sizes.add(entry.size);
          if (result.status !== "found") continue;
          sizes.add(result.bytes.length);
          return;
        }
      };
      const [written] = await Promise.all([store.put(key, bytes), watch()]);
      expect(written).toBe("created");
      expect([...sizes]).toEqual([bytes.length]);
    });

    describe("delete", () => {
      it("removes the object and no other, and an absent one without complaint", async () => {
        await putAll(["a/b", "a/c", "a/d/e"]);
        await store.delete(keyOf("a/b"));
        await store.delete(keyOf("a/b"));
        await store.delete(keyOf("nothing/here"));
        expect(await read("a/b")).toBe("absent");
        expect(await keysOf({ prefix: "" })).toEqual(["a/c", "a/d/e"]);
      });

      it("makes room for a new object of that name", async () => {
        await store.put(keyOf("a/b"), utf8("old"));
        await store.delete(keyOf("a/b"));
        expect(await store.put(keyOf("a/b"), utf8("new"))).toBe("created");
        expect(await read("a/b")).toBe("new");
      });
    });

    describe("list", () => {
      const keys = ["g/a-b", "g/a.b/x", "g/a/y", "g/a/z", "g/a0", "g/b/c/d/e", "h/i"];

      it("orders by the bytes of the whole key, not folder by folder", async () => {
        await putAll(keys.toReversed());
        expect(await keysOf({ prefix: "" })).toEqual(keys);
      });

      it("gives what begins with the prefix, be it a folder, part of a name, a whole key or nothing", async () => {
        await putAll(keys);
        expect(await keysOf({ prefix: "g/a/" })).toEqual(["g/a/y", "g/a/z"]);
        expect(await keysOf({ prefix: "g/a" })).toEqual(keys.slice(0, 5));
        expect(await keysOf({ prefix: "g/b/c/d" })).toEqual(["g/b/c/d/e"]);
        expect(await keysOf({ prefix: "g/a0" })).toEqual(["g/a0"]);
        expect(await keysOf({ prefix: "g/a0/" })).toEqual([]);
        expect(await keysOf({ prefix: "nowhere/at/all" })).toEqual([]);
      });

      it("goes on after any text, whether a key or not, inside the prefix or outside", async () => {
        await putAll(keys);
        const after = (startAfter: string, prefix = "g/") => keysOf({ prefix, startAfter });
        const below = keys.slice(0, 6);
        expect(await after("g/a-b")).toEqual(below.slice(1));
        expect(await after("g/a/y")).toEqual(below.slice(3));
        expect(await after("g/a/yy")).toEqual(below.slice(3));
        expect(await after("g/a")).toEqual(below);
        expect(await after("g/a/")).toEqual(below.slice(2));
        expect(await after("g/")).toEqual(below);
        expect(await after("a")).toEqual(below);
        expect(await after("")).toEqual(below);
        expect(await after("g/b/c/d/e")).toEqual([]);
        expect(await after("g/b/c/d/e/")).toEqual([]);
        expect(await after("z")).toEqual([]);
        expect(await after("g/a\n\0\u001b")).toEqual(below);
        expect(await after("g/a\ud800")).toEqual(["g/b/c/d/e"]);
        expect(await after("g/a0", "")).toEqual(["g/b/c/d/e", "h/i"]);
      });

      it("cuts pages at the limit and says whether more follow", async () => {
        await putAll(keys);
        const page = await store.list({ prefix: "", limit: 3 });
        expect(page.entries.map(({ key }) => key)).toEqual(keys.slice(0, 3));
        expect(page.more).toBe(true);
        expect(await store.list({ prefix: "g/a/", limit: 2 })).toMatchObject({ more: false });
        expect((await store.list({ prefix: "", limit: 0 })).entries).toHaveLength(1);
      });

      it("tells size and time of each object", async () => {
        const before = Date.now();
        await store.put(keyOf("a/b"), new Uint8Array(1234));
        const [entry] = (await store.list({ prefix: "", limit: 1 })).entries;
        expect(entry).toMatchObject({ key: "a/b", size: 1234 });
        expect(Math.abs((entry?.modifiedMs ?? 0) - before)).toBeLessThan(limits.skewMs);
      });

      it("refuses a prefix that no key can have with STORE_KEY_INVALID", async () => {
        for (const prefix of [
          "/",
          "/a",
          "../",
          "a/../",
          "a//",
          "a/./b",
          ".hidden/x",
          "a\nb",
          "a\\b",
        ]) {
          expect(await rejectionCode(store.list({ prefix, limit: 1 })), prefix).toBe(
            "STORE_KEY_INVALID",
          );
        }
      });

      it("pages stitched together are the sorted set of keys, whatever the keys and page sizes", async () => {
        const segment = fc
          .array(fc.constantFrom("a", "b", "0", "-", ".", "~", "é", "\u{1f600}", "\uff5a"), {
            minLength: 1,
            maxLength: 3,
          })
          .map((parts) => `a${parts.join("")}`);
        const key = fc
          .array(segment, { minLength: 1, maxLength: 4 })
          .map((parts) => parts.join("/"));
        let round = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.uniqueArray(key, { maxLength: 24 }),
            fc.integer({ min: 1, max: 10 }),
            async (candidates, limit) => {
              const base = `round-${round++}/`;
              const wanted = withoutNested(candidates).map((text) => base + text);
              await putAll(wanted);
              const sorted = wanted.toSorted((a, b) =>
                Buffer.compare(Buffer.from(a), Buffer.from(b)),
              );
              expect(await stitched(base, limit)).toEqual(sorted);
            },
          ),
          { numRuns: runs },
        );
      }, 60_000);
    });

    it("starts nothing once the caller has given up: STORE_ABORTED", async () => {
      const signal = AbortSignal.abort();
      const key = keyOf("a/b");
      expect(await rejectionCode(store.put(key, utf8("x"), { signal }))).toBe("STORE_ABORTED");
      expect(await rejectionCode(store.get(key, { maxBytes, signal }))).toBe("STORE_ABORTED");
      expect(await rejectionCode(store.list({ prefix: "", limit: 1 }, { signal }))).toBe(
        "STORE_ABORTED",
      );
      expect(await rejectionCode(store.delete(key, { signal }))).toBe("STORE_ABORTED");
      expect(await keysOf({ prefix: "" })).toEqual([]);
    });
  });
}

/** No key of a store is a path prefix of another: where two are, the longer one goes. */
function withoutNested(keys: readonly string[]): string[] {
  return keys.filter((key) => !keys.some((other) => key.startsWith(`${other}/`)));
}
