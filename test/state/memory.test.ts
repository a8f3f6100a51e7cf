import { describe, expect, it } from "vitest";
import { MemoryDisk, openMemoryState } from "../../src/state/memory.ts";
import { stateContract } from "../contract/state-contract.ts";
import { endedAt, put, receiptFor, SetClock } from "./samples.ts";

stateContract("memory", async (nowMs) => {
  const disk = new MemoryDisk({ clock: new SetClock(nowMs) });
  return {
    open: async (clock) => openMemoryState({ clock, disk }),
    dispose: async () => undefined,
  };
});

describe("a memory disk", () => {
  const clock = new SetClock(1000);
  const all = { limit: 9 };

  it("gives a copied home what stood when it was copied, and each its own life from there", async () => {
    const disk = new MemoryDisk({ clock });
    const state = openMemoryState({ clock, disk });
    await put(state, receiptFor("a"));
    const twin = openMemoryState({ clock, disk: new MemoryDisk(disk.snapshot()) });
    await put(state, receiptFor("a", endedAt(5)));
    await put(twin, receiptFor("b"));
    expect(await twin.receipt(receiptFor("a"))).toStrictEqual(receiptFor("a"));
    expect(await state.receipts(all)).toStrictEqual([receiptFor("a", endedAt(5))]);
  });

  it("can be put back to an earlier moment any number of times, under open states", async () => {
    const disk = new MemoryDisk({ clock });
    const state = openMemoryState({ clock, disk });
    await state.nextNumber("card");
    const before = disk.snapshot();
    for (let again = 0; again < 2; again += 1) {
      expect(await state.nextNumber("card")).toBe(2);
      await put(state, receiptFor("a"));
      disk.restore(before);
      expect(await state.receipts(all)).toStrictEqual([]);
    }
  });

  it("loses with the power what was relaxed, and only back to what was durable last", async () => {
    const disk = new MemoryDisk({ clock });
    const state = openMemoryState({ clock, disk });
    const relaxed = (name: string) =>
      state.stepRun(
        receiptFor(name),
        () => ({ answer: undefined, write: receiptFor(name), relaxed: true }),
        { mayRelax: true },
      );
    await relaxed("a");
    await put(state, receiptFor("b"));
    await relaxed("c");
    disk.losePower();
    disk.losePower();
    await relaxed("d");
    await state.sync();
    disk.losePower();
    expect(await state.receipt(receiptFor("d"))).toBeDefined();
    expect((await state.receipts(all)).map(({ runId }) => runId)).toStrictEqual(
      expect.arrayContaining([receiptFor("a").runId, receiptFor("b").runId]),
    );
    expect(await state.receipt(receiptFor("c"))).toBeUndefined();
  });
});
