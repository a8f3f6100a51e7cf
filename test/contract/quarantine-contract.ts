import { describe, expect, it } from "vitest";
import { sha256, toBase32, utf8 } from "../../src/base/bytes.ts";
import type { NewQuarantineEntry, QuarantineFilter } from "../../src/state/quarantine.ts";
import type { State } from "../../src/state/state.ts";
import { refusedObject } from "../state/samples.ts";

const everything = { limit: 1000 };

/** What a state promises of refused objects. `state` is the one that the present test opened. */
export function quarantineContract(state: () => State): void {
  describe("quarantine", () => {
    const budget = { maxBytes: 20, maxEntries: 3 };

    /** The id under which an object is kept. */
    const keep = async (entry: NewQuarantineEntry, room = budget): Promise<string> => {
      expect(await state().quarantine(entry, room)).toBe("kept");
      const entries = await state().quarantined(everything);
      const found = entries.find(({ key, size }) => key === entry.key && size === entry.size);
      return found?.id ?? "none";
    };

    it("keeps an object once, under an id made of its key and bytes", async () => {
      const entry = refusedObject();
      expect(await state().quarantine(entry, budget)).toBe("kept");
      const again = refusedObject({ atMs: 5, code: "OTHER" });
      expect(await state().quarantine(again, budget)).toBe("known");
      const content = Buffer.concat([sha256(utf8(entry.key)), sha256(utf8("refused"))]);
      const id = toBase32(sha256(content)).slice(0, 16);
      expect(await state().quarantined(everything)).toStrictEqual([
        { id, ...entry, released: false },
      ]);
      expect(await state().quarantinedEntry(id)).toStrictEqual({ id, ...entry, released: false });
      expect(await state().quarantinedEntry("aaaa")).toBeUndefined();
    });

    it("tells other bytes under the same key apart, and sizes where there are no bytes", async () => {
      const tooLarge = { bytes: null, size: 100 };
      expect(await state().quarantine(refusedObject(), budget)).toBe("kept");
      expect(await state().quarantine(refusedObject(tooLarge), budget)).toBe("kept");
      expect(await state().quarantine(refusedObject(tooLarge), budget)).toBe("known");
      const larger = refusedObject({ bytes: null, size: 101 });
      expect(await state().quarantine(larger, budget)).toBe("kept");
    });

    it("keeps to its budget of bytes and entries for each bucket by itself", async () => {
      const sized = (key: string, size: number, bucket = "p"): Parameters<State["quarantine"]>[0] =>
        refusedObject({ bucket, key, bytes: new Uint8Array(size), size });
      expect(await state().quarantine(sized("a", 20), budget)).toBe("kept");
      expect(await state().quarantine(sized("b", 1), budget)).toBe("over-budget");
      expect(await state().quarantine(sized("a", 20), budget)).toBe("known");
      expect(await state().quarantine(sized("b", 1, "q"), budget)).toBe("kept");
      expect(await state().quarantine(sized("c", 0), budget)).toBe("kept");
      expect(await state().quarantine(sized("d", 0), budget)).toBe("kept");
      expect(await state().quarantine(sized("e", 0), budget)).toBe("over-budget");
    });

    it("lists the latest first, at most so many, of one bucket if asked", async () => {
      for (const [key, atMs, bucket] of [
        ["a", 1, "p"],
        ["b", 3, "q"],
        ["c", 2, "p"],
      ] as const) {
        await state().quarantine(refusedObject({ key, atMs, bucket, bytes: null }), budget);
      }
      const keys = async (filter: QuarantineFilter): Promise<string[]> =>
        (await state().quarantined(filter)).map((entry) => entry.key);
      expect(await keys(everything)).toStrictEqual(["b", "c", "a"]);
      expect(await keys({ limit: 2 })).toStrictEqual(["b", "c"]);
      expect(await keys({ limit: 9, bucket: "p" })).toStrictEqual(["c", "a"]);
    });

    it("keeps names as a bucket may make them up, ill-formed text made well-formed", async () => {
      const entry = refusedObject({ key: "a\u0000b/../\n\u001b[2J\ud800", detail: "\udfff" });
      await state().quarantine(entry, budget);
      const [kept] = await state().quarantined(everything);
      expect(kept).toMatchObject({ key: "a\u0000b/../\n\u001b[2J\ufffd", detail: "\ufffd" });
    });

    it("releases an entry that has its bytes, once or again, and says what it cannot release", async () => {
      const id = await keep(refusedObject());
      const left = await keep(refusedObject({ bytes: null, size: 100 }));
      expect(await state().releaseQuarantined(id)).toBe("released");
      expect(await state().releaseQuarantined(id)).toBe("released");
      expect(await state().releaseQuarantined(left)).toBe("not-kept");
      expect(await state().releaseQuarantined("aaaa")).toBe("unknown");
      expect(await state().quarantinedEntry(id)).toMatchObject({ released: true });
      expect(await state().quarantinedEntry(left)).toMatchObject({ released: false });
    });

    it("refuses a released entry anew, with the verdict of then and in the place where it was", async () => {
      const id = await keep(refusedObject());
      await state().releaseQuarantined(id);
      const verdict = { code: "TTL_INVALID", detail: "too long", atMs: 2000 };
      const anew = refusedObject({ ...verdict, bucket: "q" });
      expect(await state().quarantine(anew, { maxBytes: 0, maxEntries: 0 })).toBe("kept");
      const entry = { ...refusedObject(verdict), id, released: false };
      expect(await state().quarantined(everything)).toStrictEqual([entry]);
      expect(await state().quarantine(refusedObject(), budget)).toBe("known");
      expect(await state().quarantined(everything)).toStrictEqual([entry]);
    });

    it("counts a released entry against the budget as before", async () => {
      const large = refusedObject({ bytes: new Uint8Array(20), size: 20 });
      await state().releaseQuarantined(await keep(large));
      expect(await state().quarantine(refusedObject(), budget)).toBe("over-budget");
    });

    it("lists what is released by what names it, the latest first", async () => {
      const ids = await Promise.all(
        [
          { key: "a", atMs: 1 },
          { key: "b", atMs: 3, bucket: "q" },
          { key: "c", atMs: 2 },
          { key: "d", atMs: 4 },
        ].map((change) => keep(refusedObject({ bytes: utf8("x"), size: 1, ...change }))),
      );
      expect(await state().releasedQuarantine({ limit: 9 })).toStrictEqual([]);
      for (const id of ids.slice(0, 3)) await state().releaseQuarantined(id);
      const [a, b, c] = ids;
      expect(await state().releasedQuarantine({ limit: 9 })).toStrictEqual([
        { id: b, key: "b", size: 1 },
        { id: c, key: "c", size: 1 },
        { id: a, key: "a", size: 1 },
      ]);
      expect(await state().releasedQuarantine({ limit: 1 })).toMatchObject([{ key: "b" }]);
    });

    it("discards an entry, released or not, and makes room by that", async () => {
      const id = await keep(refusedObject());
      await state().releaseQuarantined(id);
      expect(await state().discardQuarantined(id)).toBe(true);
      expect(await state().discardQuarantined(id)).toBe(false);
      expect(await state().quarantined(everything)).toStrictEqual([]);
      const other = await keep(refusedObject({ key: "other" }), { maxBytes: 7, maxEntries: 1 });
      expect(await state().discardQuarantined(other)).toBe(true);
    });
  });
}
