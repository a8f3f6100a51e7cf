import { describe, expect, it } from "vitest";
import type { State } from "../../src/state/state.ts";
import {
  endedAt,
  outboxFor,
  put,
  receiptFor,
  refusedObject,
  transcriptFor,
} from "../state/samples.ts";

/** What a state promises of its overview. `state` is the one that the present test opened. */
export function overviewContract(state: () => State): void {
  describe("the overview", () => {
    it("of a new state counts nothing", async () => {
      expect(await state().overview()).toStrictEqual({
        received: { admitted: 0, running: 0, ended: 0, unpublished: 0, oldestOpenMs: null },
        asked: { open: 0, unknown: 0, closed: 0, oldestOpenMs: null },
        quarantine: [],
        owner: { ...(await state().owner()), bornMs: 0 },
        highestClockMs: 1_000_000,
        lastPass: null,
        lastGoodPassMs: null,
      });
    });

    it("counts what was received, and how long the oldest that is open stands", async () => {
      await put(state(), receiptFor("first", { receivedMs: 1, ...endedAt(9) }));
      const unpublished = endedAt(9, { acknowledged: false });
      await put(state(), receiptFor("second", { receivedMs: 2, ...unpublished }));
      expect((await state().overview()).received.oldestOpenMs).toBeNull();
      await put(state(), receiptFor("third", { receivedMs: 3, state: "running" }));
      await put(state(), receiptFor("fourth", { receivedMs: 4 }));
      await put(state(), receiptFor("fifth", { receivedMs: 5 }));
      const { received } = await state().overview();
      const counts = { admitted: 2, running: 1, ended: 2, unpublished: 1 };
      expect(received).toStrictEqual({ ...counts, oldestOpenMs: 3 });
    });

    it("counts what was asked, and how long the oldest that is open stands", async () => {
      for (const [name, openedMs] of [
        ["unknown", 1],
        ["closed", 2],
        ["late", 4],
        ["early", 3],
      ] as const) {
        await state().openOutbox(outboxFor(name, { openedMs }));
      }
      await state().noteOutbox(outboxFor("unknown"), { state: "unknown" });
      await state().closeOutbox(outboxFor("closed"), transcriptFor("closed", 7));
      const { asked } = await state().overview();
      expect(asked).toStrictEqual({ open: 2, unknown: 1, closed: 1, oldestOpenMs: 3 });
      for (const name of ["late", "early"])
        await state().closeOutbox(outboxFor(name), transcriptFor(name, 7));
      expect((await state().overview()).asked.oldestOpenMs).toBeNull();
    });

    it("says what each bucket of the quarantine holds, in order of their names", async () => {
      const budget = { maxBytes: 99, maxEntries: 9 };
      await state().quarantine(refusedObject({ bucket: "q" }), budget);
      const [entry] = await state().quarantined({ limit: 1 });
      await state().releaseQuarantined(entry?.id ?? "none");
      await state().quarantine(refusedObject({ bucket: "p", key: "a" }), budget);
      await state().quarantine(refusedObject({ bucket: "p", key: "b" }), budget);
      await state().quarantine(refusedObject({ bucket: "p", bytes: null, size: 50 }), budget);
      const { quarantine } = await state().overview();
      expect(quarantine).toStrictEqual([
        { bucket: "p", entries: 3, bytes: 14, released: 0 },
        { bucket: "q", entries: 1, bytes: 7, released: 1 },
      ]);
    });

    it("tells what the state knows of its owner and its clock", async () => {
      const { bornMs } = await state().recover();
      await state().noteOwner({
        begunMs: bornMs,
        bornMs,
        generation: 2,
        claimedMs: 3,
        elsewhere: true,
      });
      const overview = await state().overview();
      expect(overview).toMatchObject({ owner: { bornMs }, highestClockMs: bornMs });
      expect(overview.owner).toStrictEqual(await state().owner());
    });
  });
}
