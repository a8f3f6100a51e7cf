import { describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import type { State } from "../../src/state/state.ts";
import { troubleOf } from "../state/samples.ts";

/** What a state promises of troubles and passes. `state` is the one that the present test opened. */
export function troublesContract(state: () => State): void {
  describe("troubles", () => {
    it("are one of each subject, the last that was noted, the latest first", async () => {
      const own = troubleOf("", { atMs: 2 });
      const latest = troubleOf("b", { atMs: 3 });
      await state().noteTrouble(troubleOf("a", { atMs: 9, code: "STORE_BUSY", message: "wait" }));
      for (const trouble of [own, latest]) await state().noteTrouble(trouble);
      // A clock that was set back does not make it less true.
      const last = troubleOf("a", { atMs: 1 });
      await state().noteTrouble(last);
      expect(await state().troubles()).toStrictEqual([latest, own, last]);
    });

    it("are forgotten one by one", async () => {
      for (const subject of ["a", ""]) await state().noteTrouble(troubleOf(subject));
      await state().clearTrouble("a");
      await state().clearTrouble("never heard of");
      expect(await state().troubles()).toStrictEqual([troubleOf("")]);
    });

    it("are of so many subjects at most: the oldest goes, never the one that is noted", async () => {
      const subjects = Array.from({ length: limits.maxTroubles }, (_, index) => `peer${index}`);
      for (const [index, subject] of subjects.entries())
        await state().noteTrouble(troubleOf(subject, { atMs: 2000 - index }));
      const changed = troubleOf("peer5", { atMs: 5000 });
      await state().noteTrouble(changed);
      expect((await state().troubles()).length).toBe(limits.maxTroubles);
      const early = troubleOf("early", { atMs: 1 });
      await state().noteTrouble(early);
      const troubles = await state().troubles();
      expect(troubles.length).toBe(limits.maxTroubles);
      expect(troubles[0]).toStrictEqual(changed);
      expect(troubles.at(-1)).toStrictEqual(early);
      expect(troubles.map(({ subject }) => subject)).not.toContain(subjects.at(-1));
    });

    it("keep ill-formed text as well-formed", async () => {
      await state().noteTrouble(troubleOf("a", { message: "x\u0000\ud800" }));
      expect(await state().troubles()).toMatchObject([{ message: "x\u0000\ufffd" }]);
    });
  });

  describe("passes", () => {
    const seen = async (): Promise<unknown> => {
      const { lastPass, lastGoodPassMs } = await state().overview();
      return [lastPass, lastGoodPassMs];
    };

    it("are seen in the overview: the last one, and the last that went well", async () => {
      expect(await seen()).toStrictEqual([null, null]);
      await state().notePass({ atMs: 5, code: "STORE_DENIED" });
      expect(await seen()).toStrictEqual([{ atMs: 5, code: "STORE_DENIED" }, null]);
      await state().notePass({ atMs: 6, code: null });
      expect(await seen()).toStrictEqual([{ atMs: 6, code: null }, 6]);
      await state().notePass({ atMs: 7, code: "STORE_BUSY" });
      expect(await seen()).toStrictEqual([{ atMs: 7, code: "STORE_BUSY" }, 6]);
    });

    it("stay seen after looks, and a recovery", async () => {
      await state().notePass({ atMs: 6, code: null });
      await state().noteOwner({
        begunMs: 8,
        bornMs: 0,
        generation: 1,
        claimedMs: null,
        elsewhere: false,
      });
      await state().recover();
      expect(await seen()).toStrictEqual([{ atMs: 6, code: null }, 6]);
    });
  });
}
