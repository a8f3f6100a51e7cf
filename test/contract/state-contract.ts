import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sha256, utf8 } from "../../src/base/bytes.ts";
import { toSeconds } from "../../src/base/clock.ts";
import type { ErrorCode } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { toJson } from "../../src/protocol/fields.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import { digest16Of } from "../../src/protocol/object-key.ts";
import type { Receipt, RunRef } from "../../src/protocol/receipt.ts";
import type { ReadPosition } from "../../src/state/outbox.ts";
import type { CollectOptions, RunView, State } from "../../src/state/state.ts";
import { anyFarOutbox, anyFarReceipt, anyTerminal } from "../state/arbitraries.ts";
import {
  cancelFor,
  digestFor,
  endedAt,
  otherPeer,
  outboxFor,
  peer,
  put,
  receiptFor,
  refusedObject,
  runIdFor,
  SetClock,
  succeeded,
  transcriptFor,
  troubleOf,
  workerFor,
} from "../state/samples.ts";
import { overviewContract } from "./overview-contract.ts";
import { quarantineContract } from "./quarantine-contract.ts";
import { troublesContract } from "./troubles-contract.ts";

/** One place where a state is kept. */
export interface StateUnderTest {
  /** The state as one more process has it, which reads `clock`. */
  open(clock: SetClock): Promise<State>;
  dispose(): Promise<void>;
}

const startMs = 1_000_000;
const everything = { limit: 1000 };

/** What every driver of `State` promises. `make` makes a new, empty place whose clock shows `nowMs`. */
export function stateContract(
  driver: string,
  make: (nowMs: number) => Promise<StateUnderTest>,
): void {
  describe(`${driver} state`, () => {
    let clock: SetClock;
    let place: StateUnderTest;
    let state: State;

    beforeEach(async () => {
      clock = new SetClock(startMs);
      place = await make(startMs);
      state = await place.open(clock);
    });

    afterEach(async () => {
      await state.close();
      await place.dispose();
    });

    const viewOf = (receipt: Receipt): Promise<RunView> =>
      state.stepRun(receipt, (view) => ({ answer: view }));

    describe("a step about a run", () => {
      it("sees the clock, the highest clock before it, and nothing of an unknown run", async () => {
        expect(await viewOf(receiptFor("a"))).toStrictEqual({
          nowMs: startMs,
          highestClockMs: startMs,
          owner: {
            bornMs: 0,
            lookMs: null,
            generation: 0,
            claimedMs: null,
            elsewhere: false,
            recovering: false,
            unclaimed: false,
          },
          receipt: undefined,
          blocked: false,
          continued: undefined,
          peer: { openRuns: 0, receivedLastMinute: 0, unpublished: 0 },
        });
      });

      it("that may be relaxed is decided once more when what it writes must be durable", async () => {
        const commits: boolean[] = [];
        for (const relaxed of [true, false]) {
          const receipt = receiptFor(relaxed ? "a" : "b");
          let decisions = 0;
          const answer = await state.stepRun(
            receipt,
            () => ({ answer: (decisions += 1), write: receipt, relaxed }),
            { mayRelax: true },
          );
          commits.push(answer === (relaxed ? 1 : 2));
          expect(await state.receipt(receipt)).toStrictEqual(receipt);
        }
        expect(commits).toStrictEqual([true, true]);
      });

      it("writes one receipt, which every later step and other process sees", async () => {
        const receipt = receiptFor("a");
        const answer = await state.stepRun(receipt, () => ({ answer: "mine", write: receipt }));
        expect(answer).toBe("mine");
        expect((await viewOf(receipt)).receipt).toStrictEqual(receipt);
        const other = await place.open(new SetClock(startMs));
        expect(await other.receipt(receipt)).toStrictEqual(receipt);
        await other.close();
      });

      it("replaces the receipt of the same digest as a whole", async () => {
        await put(state, receiptFor("a", { outcome: succeeded, deadline: 5, tenant: "t" }));
        const after = receiptFor("a", { starts: 2 });
        await put(state, after);
        expect((await viewOf(after)).receipt).toStrictEqual(after);
      });

      it("gives every receipt back exactly as it was written", async () => {
        const property = fc.asyncProperty(anyFarReceipt, async (receipt) => {
          const fresh = await make(startMs);
          const one = await fresh.open(clock);
          await put(one, receipt);
          expect(await one.receipt(receipt)).toStrictEqual(receipt);
          await one.close();
          await fresh.dispose();
        });
        await fc.assert(property, { numRuns: 30 });
      });

      it("keeps a result's __proto__ as the plain key that it is", async () => {
        const result = toJson(new Map([["__proto__", new Map([["x", 1]])]]), "result");
        const outcome: TerminalPayload = { status: "succeeded", result };
        await put(state, receiptFor("a", { outcome }));
        const back = await state.receipt(receiptFor("a"));
        const written = '{"status":"succeeded","result":{"__proto__":{"x":1}}}';
        expect(JSON.stringify(back?.outcome)).toBe(written);
      });

      it("holds copies: what callers do to theirs afterwards changes nothing", async () => {
        const receipt = receiptFor("a", { request: utf8("as it was") });
        await put(state, receipt);
        receipt.request.fill(0);
        (await viewOf(receipt)).receipt?.request.fill(0);
        (await state.receipts(everything))[0]?.request.fill(0);
        expect((await state.receipt(receipt))?.request).toStrictEqual(utf8("as it was"));
      });

      it("sees the receipt of its own digest, whatever else stands under the run", async () => {
        const mine = receiptFor("a", { requestDigest: digestFor("x") });
        const twin = receiptFor("a", { requestDigest: digestFor("y") });
        const foreign = receiptFor("a", { from: otherPeer, requestDigest: digestFor("z") });
        for (const receipt of [mine, twin, foreign]) await put(state, receipt);
        expect((await viewOf(mine)).receipt).toStrictEqual(mine);
        expect((await viewOf({ ...foreign, from: peer })).receipt).toBeUndefined();
      });

      const expired: TerminalPayload = { status: "expired" };
      const refused: TerminalPayload = { status: "refused" };
      const signed = (payload: TerminalPayload): Partial<Receipt> =>
        endedAt(5, { terminal: { attempt: 1, seq: 0, envelope: utf8("t"), payload } });

      it.each<[string, Partial<Receipt>, boolean]>([
        ["is open", {}, true],
        ["ran and ended expired", signed(expired), true],
        ["ran and ended without a terminal", endedAt(5), true],
        ["was refused", { admitted: false, ...signed(refused) }, true],
        ["never ran and ended expired", { admitted: false, ...signed(expired) }, false],
        ["never ran and ended in silence", { admitted: false, ...endedAt(5) }, false],
      ])("sees whether another digest that %s stands in its way", async (_what, change, stands) => {
        const standing = receiptFor("a", { requestDigest: digestFor("x"), ...change });
        for (const receipt of [
          standing,
          receiptFor("a", { from: otherPeer }),
          receiptFor("another run"),
        ]) {
          await put(state, receipt);
        }
        expect((await viewOf(receiptFor("a"))).blocked).toBe(stands);
        expect((await viewOf(standing)).blocked).toBe(false);
      });

      it("sees its way blocked by the one among many that stands in it", async () => {
        const silent = { admitted: false, ...endedAt(5) };
        for (const text of ["1", "2", "3"]) {
          await put(state, receiptFor("a", { requestDigest: digestFor(text), ...silent }));
        }
        expect((await viewOf(receiptFor("a"))).blocked).toBe(false);
        await put(state, receiptFor("a", { requestDigest: digestFor("4") }));
        expect((await viewOf(receiptFor("a"))).blocked).toBe(true);
      });

      it("sees the run it continues by its one admitted receipt, of the same sender only", async () => {
        const earlier = receiptFor("earlier", { tenant: "acme", ...endedAt(5) });
        const next = receiptFor("next", { continues: earlier.runId });
        const refusal = receiptFor("earlier", { requestDigest: digestFor("x"), admitted: false });
        await put(state, refusal);
        await put(state, receiptFor("earlier", { from: otherPeer, tenant: "other" }));
        expect((await viewOf(next)).continued).toBeUndefined();
        await put(state, earlier);
        expect((await viewOf(next)).continued).toStrictEqual({ tenant: "acme" });
        expect((await viewOf(receiptFor("next"))).continued).toBeUndefined();
      });

      it("counts the sender's other open runs, without grants", async () => {
        await put(state, receiptFor("admitted"));
        await put(state, receiptFor("running", { state: "running" }));
        await put(state, receiptFor("over", endedAt(1)));
        await put(state, receiptFor("grant", { kind: "approvalGrant" }));
        await put(state, receiptFor("foreign", { from: otherPeer }));
        expect((await viewOf(receiptFor("new"))).peer.openRuns).toBe(2);
        expect((await viewOf(receiptFor("running"))).peer.openRuns).toBe(1);
      });

      it("counts what the sender sent within the last minute, refused or not, under any run", async () => {
        const edge = startMs - limits.rateWindowMs;
        await put(state, receiptFor("on the edge", { receivedMs: edge }));
        await put(state, receiptFor("within", { receivedMs: edge + 1 }));
        await put(state, receiptFor("refused", { receivedMs: startMs, ...endedAt(startMs) }));
        await put(state, receiptFor("foreign", { receivedMs: startMs, from: otherPeer }));
        expect((await viewOf(receiptFor("new"))).peer.receivedLastMinute).toBe(2);
        const repeated = receiptFor("within", { requestDigest: digestFor("other content") });
        expect((await viewOf(repeated)).peer.receivedLastMinute).toBe(2);
      });

      it("counts the sender's ends that are not published", async () => {
        const unpublished = endedAt(startMs, { acknowledged: false });
        await put(state, receiptFor("open"));
        await put(state, receiptFor("published", endedAt(startMs)));
        await put(state, receiptFor("one", unpublished));
        await put(state, receiptFor("another", unpublished));
        await put(state, receiptFor("foreign", { ...unpublished, from: otherPeer }));
        expect((await viewOf(receiptFor("new"))).peer.unpublished).toBe(2);
      });

      it("rejects with what the decision throws, and has changed nothing", async () => {
        const thrown = new Error("no");
        clock.ms += 5;
        const step = state.stepRun(receiptFor("a"), () => {
          throw thrown;
        });
        await expect(step).rejects.toBe(thrown);
        expect((await viewOf(receiptFor("a"))).highestClockMs).toBe(startMs);
        await put(state, receiptFor("a"));
      });

      it("changes nothing, not even the highest clock, when the decision writes nothing", async () => {
        clock.ms += 5;
        await viewOf(receiptFor("a"));
        expect((await viewOf(receiptFor("a"))).highestClockMs).toBe(startMs);
      });

      it("raises the highest clock with every write and never lowers it", async () => {
        clock.ms = startMs + 5;
        await put(state, receiptFor("a"));
        clock.ms = startMs + 3;
        await put(state, receiptFor("b"));
        const view = await viewOf(receiptFor("a"));
        expect(view.nowMs).toBe(startMs + 3);
        expect(view.highestClockMs).toBe(startMs + 5);
      });

      it.each<[string, Partial<Receipt>]>([
        ["another run", { runId: runIdFor("b") }],
        ["another sender", { from: otherPeer }],
        ["another digest", { requestDigest: digestFor("b") }],
        ["an end without an ending", { state: "ended" }],
        ["an ending without an end", { ended: endedAt(1).ended }],
      ])("rejects a written receipt with %s as INTERNAL and changes nothing", async (_, change) => {
        const write = receiptFor("a", change);
        const step = state.stepRun(receiptFor("a"), () => ({ answer: undefined, write }));
        await expect(step).rejects.toMatchObject(code("INTERNAL"));
        expect(await state.receipts(everything)).toStrictEqual([]);
      });

      it("never opens an ended receipt again", async () => {
        const ended = receiptFor("a", endedAt(1));
        await put(state, ended);
        await expect(put(state, receiptFor("a"))).rejects.toMatchObject(code("INTERNAL"));
        expect(await state.receipt(ended)).toStrictEqual(ended);
      });

      it("refuses a step inside a decision, and the outer one still commits", async () => {
        const receipt = receiptFor("a");
        let inner: Promise<unknown> | undefined;
        await state.stepRun(receipt, () => {
          inner = put(state, receiptFor("b"));
          inner.catch(() => undefined);
          return { answer: undefined, write: receipt };
        });
        await expect(inner).rejects.toMatchObject(code("INTERNAL"));
        expect(await state.receipts(everything)).toStrictEqual([receipt]);
      });
    });

    describe("receipts", () => {
      it("come the latest first, open or ended, at most so many", async () => {
        const ended = receiptFor("ended", { receivedMs: 1, ...endedAt(9) });
        const late = receiptFor("late", { receivedMs: 3, state: "running" });
        const twins = [receiptFor("twin"), receiptFor("other twin")]
          .map((receipt) => ({ ...receipt, receivedMs: 2 }))
          .toSorted((a, b) => (a.runId < b.runId ? 1 : -1));
        for (const receipt of [ended, late, ...twins]) await put(state, receipt);
        expect(await state.receipts(everything)).toStrictEqual([late, ...twins, ended]);
        expect(await state.receipts({ limit: 2 })).toStrictEqual([late, twins[0]]);
        expect(await state.receipts({ limit: 0 })).toStrictEqual([]);
      });

      it("are named by what is still to be done about them, the first received first", async () => {
        const open = receiptFor("open", { receivedMs: 4 });
        const running = receiptFor("running", { receivedMs: 3, state: "running" });
        const twins = ["u", "v"].map((name) =>
          receiptFor(name, { receivedMs: 2, ...endedAt(1, { acknowledged: false }) }),
        );
        const done = receiptFor("done", endedAt(1));
        for (const receipt of [open, ...twins, done, running]) await put(state, receipt);
        const ofOpen = await state.receiptRefs({ are: "open", limit: 9 });
        expect(ofOpen).toStrictEqual([running, open].map(refOf));
        expect(await state.receiptRefs({ are: "open", limit: 1 })).toStrictEqual([refOf(running)]);
        const unacknowledged = await state.receiptRefs({ are: "unacknowledged", limit: 9 });
        const inOrder = twins.toSorted((a, b) => (a.runId < b.runId ? -1 : 1));
        expect(unacknowledged).toStrictEqual(inOrder.map(refOf));
      });

      it("are found by their run's name, whoever sent it and however often", async () => {
        const late = receiptFor("a", { receivedMs: 3 });
        const early = receiptFor("a", { receivedMs: 1, requestDigest: digestFor("other") });
        const foreign = receiptFor("a", { receivedMs: 2, from: otherPeer, ...endedAt(5) });
        for (const receipt of [late, early, foreign, receiptFor("b")]) await put(state, receipt);
        expect(await state.receiptsNamed(late.runId)).toStrictEqual([early, foreign, late]);
        expect(await state.receiptsNamed(runIdFor("c"))).toStrictEqual([]);
      });

      it("are found by what a cancel says: the sender, the run, and how the digest begins", async () => {
        const mine = receiptFor("a");
        for (const receipt of [
          receiptFor("a", { requestDigest: digestFor("x") }),
          mine,
          receiptFor("a", { from: otherPeer, ...endedAt(5) }),
          receiptFor("b", { requestDigest: mine.requestDigest, ...endedAt(5) }),
        ]) {
          await put(state, receipt);
        }
        const cancel = { ...refOf(mine), digest16: digest16Of(mine.requestDigest) };
        expect(await state.receiptOfCancel(cancel)).toStrictEqual(mine);
        const none = { ...cancel, digest16: digest16Of(digestFor("y")) };
        expect(await state.receiptOfCancel(none)).toBeUndefined();
      });

      it("name the workers that are still needed", async () => {
        await put(state, receiptFor("a", { worker: workerFor("one") }));
        await put(state, receiptFor("b", { worker: workerFor("one"), state: "running" }));
        await put(state, receiptFor("c", { worker: workerFor("two"), ...endedAt(1) }));
        expect(await state.openWorkers()).toStrictEqual(new Set([workerFor("one")]));
      });

      it("that are not there are undefined", async () => {
        await put(state, receiptFor("a"));
        const other = receiptFor("a", { requestDigest: digestFor("z") });
        expect(await state.receipt(other)).toBeUndefined();
      });
    });

    describe("the outbox", () => {
      it("remembers a request exactly, and says opened", async () => {
        const property = fc.asyncProperty(anyFarOutbox, anyTerminal, async (record, terminal) => {
          const fresh = await make(startMs);
          const one = await fresh.open(clock);
          expect(await one.openOutbox(record)).toStrictEqual({ status: "opened", record });
          expect(await one.outboxRecord(record.runId)).toStrictEqual(record);
          const transcript = { ...transcriptFor("x", 5), runId: record.runId, terminal };
          await one.closeOutbox(record, transcript);
          const closed = { ...record, state: "closed", closedMs: 5, terminal };
          expect(await one.outboxRecord(record.runId)).toStrictEqual(closed);
          expect(await one.transcript(record.runId)).toStrictEqual(transcript);
          await one.close();
          await fresh.dispose();
        });
        await fc.assert(property, { numRuns: 30 });
      });

      it("follows the same intent and reports a conflict for another, with what stands", async () => {
        const record = outboxFor("a");
        await state.openOutbox(record);
        const again = outboxFor("a", { envelope: utf8("signed later"), openedMs: 9 });
        expect(await state.openOutbox(again)).toStrictEqual({ status: "following", record });
        const other = outboxFor("a", { intentDigest: digestFor("other") });
        expect(await state.openOutbox(other)).toStrictEqual({ status: "conflict", record });
        expect(await state.outboxRecord(record.runId)).toStrictEqual(record);
      });

      it("follows a record that is closed as well", async () => {
        const record = outboxFor("a");
        await state.openOutbox(record);
        await state.closeOutbox(record, transcriptFor("a", 7));
        const opened = await state.openOutbox(record);
        expect(opened.status).toBe("following");
        expect(opened.record.terminal).toStrictEqual(succeeded);
      });

      it("keeps the latest sent time, that an answer came, and the first cancel", async () => {
        const { runId } = outboxFor("a");
        await state.openOutbox(outboxFor("a"));
        const cancel = cancelFor("a");
        await state.noteOutbox(outboxFor("a"), {
          sentMs: 20,
          answered: true,
          displaced: true,
          cancel,
        });
        const noted = outboxFor("a", { sentMs: 20, answered: true, displaced: true, cancel });
        expect(await state.outboxRecord(runId)).toStrictEqual(noted);
        await state.noteOutbox(outboxFor("a"), {
          sentMs: 10,
          answered: false,
          displaced: false,
          cancel: cancelFor("b"),
        });
        expect(await state.outboxRecord(runId)).toStrictEqual({ ...noted, displaced: false });
        await state.noteOutbox(outboxFor("a"), { sentMs: null, cancel: null });
        expect(await state.outboxRecord(runId)).toStrictEqual({ ...noted, displaced: false });
      });

      it("keeps how far its frames were read, in the highest attempt, also once it is closed", async () => {
        const { runId } = outboxFor("a");
        const at = (attempt: number, seq: number): ReadPosition => ({
          attempt,
          seq,
          prev: sha256(utf8(`${attempt} ${seq}`)),
          atMs: seq,
        });
        await state.openOutbox(outboxFor("a"));
        for (const [noted, stands] of [
          [at(1, 4), at(1, 4)],
          [at(1, 3), at(1, 4)],
          [{ ...at(1, 4), prev: utf8("another") }, at(1, 4)],
          [null, at(1, 4)],
          [at(1, 9), at(1, 9)],
          [at(2, 1), at(2, 1)],
          [at(1, 20), at(2, 1)],
        ] as const) {
          await state.noteOutbox(outboxFor("a"), { read: noted });
          expect((await state.outboxRecord(runId))?.read).toStrictEqual(stands);
        }
        await state.closeOutbox(outboxFor("a"), transcriptFor("a", 7));
        expect((await state.outboxRecord(runId))?.read).toStrictEqual(at(2, 1));
      });

      it("goes to unknown and back, and stays closed once it is closed", async () => {
        const { runId } = outboxFor("a");
        await state.openOutbox(outboxFor("a"));
        await state.noteOutbox(outboxFor("a"), { state: "unknown" });
        expect((await state.outboxRecord(runId))?.state).toBe("unknown");
        await state.noteOutbox(outboxFor("a"), { state: "open" });
        expect((await state.outboxRecord(runId))?.state).toBe("open");
        await state.closeOutbox(outboxFor("a"), transcriptFor("a", 7));
        await state.noteOutbox(outboxFor("a"), { state: "unknown", answered: true });
        const record = await state.outboxRecord(runId);
        expect(record).toMatchObject({ state: "closed", closedMs: 7, answered: true });
      });

      it("is closed once, from unknown as well: a second closer gets what is stored", async () => {
        const { runId } = outboxFor("a");
        await state.openOutbox(outboxFor("a"));
        await state.noteOutbox(outboxFor("a"), { state: "unknown" });
        const first = transcriptFor("a", 7, 3);
        const closed = await state.closeOutbox(outboxFor("a"), first);
        expect(closed).toStrictEqual({ status: "closed", transcript: first });
        const second = await state.closeOutbox(outboxFor("a"), transcriptFor("a", 8, 1));
        expect(second).toStrictEqual({ status: "stood", transcript: first });
        expect(await state.outboxRecord(runId)).toMatchObject({ state: "closed", closedMs: 7 });
      });

      it("rejects a note and a closing of what is not there as RUN_UNKNOWN", async () => {
        const runId = runIdFor("a");
        const note = state.noteOutbox(outboxFor("a"), { answered: true });
        await expect(note).rejects.toMatchObject(code("RUN_UNKNOWN"));
        const closing = state.closeOutbox(outboxFor("a"), transcriptFor("a", 7));
        await expect(closing).rejects.toMatchObject(code("RUN_UNKNOWN"));
        expect(await state.transcript(runId)).toBeUndefined();
        expect(await state.outboxRecord(runId)).toBeUndefined();
      });

      it("rejects a note and a closing of a request that another one has replaced since", async () => {
        await state.openOutbox(outboxFor("a"));
        const asked = { ...outboxFor("a"), requestDigest: digestFor("before") };
        const note = state.noteOutbox(asked, { answered: true });
        await expect(note).rejects.toMatchObject(code("RUN_UNKNOWN"));
        const closing = state.closeOutbox(asked, transcriptFor("a", 7));
        await expect(closing).rejects.toMatchObject(code("RUN_UNKNOWN"));
        expect(await state.outboxRecord(asked.runId)).toStrictEqual(outboxFor("a"));
        expect(await state.transcript(asked.runId)).toBeUndefined();
      });

      it("rejects the transcript of another run as INTERNAL", async () => {
        const { runId } = outboxFor("a");
        await state.openOutbox(outboxFor("a"));
        const closing = state.closeOutbox(outboxFor("a"), transcriptFor("b", 7));
        await expect(closing).rejects.toMatchObject(code("INTERNAL"));
        expect(await state.outboxRecord(runId)).toMatchObject({ state: "open" });
      });

      it("lists the latest opened first, at most so many", async () => {
        const first = outboxFor("first", { openedMs: 1, sentMs: 9 });
        const last = outboxFor("last", { openedMs: 3 });
        const closed = outboxFor("closed", { openedMs: 2 });
        for (const record of [last, first, closed]) await state.openOutbox(record);
        await state.closeOutbox(closed, transcriptFor("closed", 7));
        const all = await state.outboxRecords(everything);
        expect(all.map(({ runId }) => runId)).toStrictEqual(
          [last, closed, first].map(({ runId }) => runId),
        );
        expect(await state.outboxRecords({ limit: 1 })).toStrictEqual([last]);
      });

      it("names what is not closed, open before unknown, least recently sent first", async () => {
        const never = outboxFor("never", { openedMs: 4 });
        const late = outboxFor("late", { openedMs: 1, sentMs: 9 });
        const early = outboxFor("early", { openedMs: 3, sentMs: 8 });
        const closed = outboxFor("closed", { openedMs: 2 });
        for (const record of [late, never, early, closed]) await state.openOutbox(record);
        await state.noteOutbox(early, { state: "unknown" });
        await state.closeOutbox(closed, transcriptFor("closed", 7));
        const asked = [never, late].map(({ runId }) => ({ runId, state: "open" }));
        const all = [...asked, { runId: early.runId, state: "unknown" }];
        expect(await state.askedRuns({ limit: 9 })).toStrictEqual(all);
        expect(await state.askedRuns({ limit: 1 })).toStrictEqual(all.slice(0, 1));
      });
    });

    describe("the owner", () => {
      const look = { begunMs: 10, bornMs: 0, generation: 3, claimedMs: 5, elsewhere: false };
      const known = { bornMs: 0, elsewhere: false, recovering: false, unclaimed: false };

      it("is what a look found", async () => {
        await state.noteOwner(look);
        const owner = { ...known, lookMs: 10, generation: 3, claimedMs: 5 };
        expect(await state.owner()).toStrictEqual(owner);
        expect((await viewOf(receiptFor("a"))).owner).toStrictEqual(owner);
      });

      it("never gets a lower generation or an earlier look, in whatever order looks come in", async () => {
        await state.noteOwner(look);
        await state.noteOwner({
          begunMs: 20,
          bornMs: 0,
          generation: 2,
          claimedMs: null,
          elsewhere: false,
        });
        expect(await state.owner()).toMatchObject({ lookMs: 20, generation: 3, claimedMs: 5 });
        await state.noteOwner({
          begunMs: 15,
          bornMs: 0,
          generation: 4,
          claimedMs: 14,
          elsewhere: false,
        });
        expect(await state.owner()).toMatchObject({ lookMs: 20, generation: 4, claimedMs: 14 });
      });

      it("keeps the claim of the present generation, and none of an earlier one", async () => {
        await state.noteOwner(look);
        await state.noteOwner({
          begunMs: 11,
          bornMs: 0,
          generation: 3,
          claimedMs: null,
          elsewhere: false,
        });
        expect((await state.owner()).claimedMs).toBe(5);
        await state.noteOwner({
          begunMs: 12,
          bornMs: 0,
          generation: 4,
          claimedMs: null,
          elsewhere: false,
        });
        expect((await state.owner()).claimedMs).toBeNull();
        await state.noteOwner({
          begunMs: 13,
          bornMs: 0,
          generation: 3,
          claimedMs: 13,
          elsewhere: false,
        });
        expect((await state.owner()).claimedMs).toBeNull();
      });

      it("stays elsewhere once it was found elsewhere, whatever later looks find", async () => {
        await state.noteOwner({ ...look, elsewhere: true });
        await state.noteOwner({ ...look, begunMs: 99, generation: 9 });
        expect((await state.owner()).elsewhere).toBe(true);
      });

      it("knows the nonces that were committed, and commits one twice without harm", async () => {
        expect(await state.knowsOwnerNonce("n")).toBe(false);
        await state.commitOwnerNonce("n");
        await state.commitOwnerNonce("n");
        expect(await state.knowsOwnerNonce("n")).toBe(true);
        expect(await state.knowsOwnerNonce("m")).toBe(false);
      });
    });

    describe("recover", () => {
      it("is born now, forgets looks, claims and nonces, and keeps the generation", async () => {
        await state.commitOwnerNonce("n");
        await state.noteOwner({
          begunMs: 10,
          bornMs: 0,
          generation: 3,
          claimedMs: 5,
          elsewhere: true,
        });
        const open = receiptFor("open");
        for (const receipt of [open, receiptFor("over", endedAt(1))]) await put(state, receipt);
        clock.ms += 7;
        expect(await state.recover()).toStrictEqual({ bornMs: startMs + 7, open: [open] });
        const nothing = { lookMs: null, generation: 3, claimedMs: null, elsewhere: false };
        expect((await viewOf(open)).owner).toMatchObject({ bornMs: startMs + 7, ...nothing });
        expect(await state.knowsOwnerNonce("n")).toBe(false);
      });

      it("dates what a clock that was ahead received, so that it counts as received before", async () => {
        const ahead = { ...receiptFor("ahead"), receivedMs: startMs + 3_600_000 };
        const earlier = { ...receiptFor("earlier"), receivedMs: startMs };
        for (const receipt of [earlier, ahead]) await put(state, receipt);
        clock.ms += 7;
        const { bornMs, open } = await state.recover();
        expect(open).toStrictEqual([earlier, { ...ahead, receivedMs: bornMs }]);
        expect((await viewOf(ahead)).receipt?.receivedMs).toBe(startMs + 7);
      });

      it("dates what was over by a clock that was ahead, so that it is kept no longer than from now", async () => {
        const aheadMs = startMs + 1e9;
        const retention = { limit: 100, skewMs: 1000, retentionMs: 10_000 };
        const budget = { maxBytes: 99, maxEntries: 9 };
        for (const [name, atMs] of [
          ["ahead", aheadMs],
          ["before", startMs],
        ] as const) {
          clock.ms = Math.max(clock.ms, atMs);
          await put(state, receiptFor(name, endedAt(atMs)));
          await put(
            state,
            receiptFor(`${name} unpublished`, endedAt(atMs, { acknowledged: false })),
          );
          await state.openOutbox(outboxFor(name, { sentMs: atMs }));
          await state.closeOutbox(outboxFor(name), transcriptFor(name, atMs));
          await state.quarantine(refusedObject({ key: name, atMs }), budget);
          await state.noteTrouble(troubleOf(name, { atMs }));
        }
        await state.notePass({ atMs: aheadMs, code: null });
        const startedMs = startMs + 7;
        clock.ms = startedMs;
        await state.recover();
        const { lastPass, lastGoodPassMs } = await state.overview();
        expect([lastPass?.atMs, lastGoodPassMs]).toStrictEqual([startedMs, startedMs]);
        const unpublished = (await state.receipts(everything)).filter(
          ({ ended }) => ended?.acknowledged === false,
        );
        const ends = unpublished.map(({ ended }) => ended?.atMs).toSorted((a = 0, b = 0) => a - b);
        expect(ends).toStrictEqual([startMs, startedMs]);
        const asked = await state.outboxRecord(runIdFor("ahead"));
        expect(asked).toMatchObject({ sentMs: startedMs, closedMs: aheadMs });
        const oneEach = { receipts: 1, outbox: 1, quarantine: 1, troubles: 1 };
        clock.ms = startedMs + retention.retentionMs;
        expect(await state.collect(retention)).toStrictEqual(oneEach);
        expect(await state.collect(retention)).toMatchObject({ receipts: 0, outbox: 0 });
        clock.ms += 1;
        expect(await state.collect(retention)).toStrictEqual(oneEach);
      });

      it("opens again what became unknown by a clock that was ahead, and nothing else", async () => {
        for (const [name, atMs] of [
          ["before", startMs],
          ["ahead", startMs + 1e9],
        ] as const) {
          clock.ms = atMs;
          await state.openOutbox(outboxFor(name));
          await state.noteOutbox(outboxFor(name), { state: "unknown" });
        }
        clock.ms = startMs;
        await state.recover();
        expect(await state.askedRuns(everything)).toStrictEqual([
          { runId: runIdFor("ahead"), state: "open" },
          { runId: runIdFor("before"), state: "unknown" },
        ]);
        clock.ms += 1e8;
        expect(await state.collect({ limit: 9, skewMs: 0, retentionMs: 0 })).toMatchObject({
          outbox: 1,
        });
        expect(await state.askedRuns(everything)).toHaveLength(1);
      });

      it("is born once more when its first claim is noted, and never by a later one", async () => {
        const look = { bornMs: 0, generation: 1, claimedMs: null, elsewhere: false };
        await state.noteOwner({ ...look, begunMs: startMs, claimedMs: startMs });
        expect((await viewOf(receiptFor("a"))).owner).toMatchObject({ bornMs: 0 });
        clock.ms += 10;
        const { bornMs } = await state.recover();
        clock.ms += 10;
        await state.noteOwner({ ...look, bornMs, begunMs: clock.ms });
        expect((await viewOf(receiptFor("a"))).owner).toMatchObject({ bornMs });
        const claim = { ...look, bornMs, generation: 2, claimedMs: clock.ms, begunMs: clock.ms };
        clock.ms += 10;
        await state.noteOwner(claim);
        expect((await viewOf(receiptFor("a"))).owner).toMatchObject({ bornMs: startMs + 30 });
        clock.ms += 10;
        const next = { ...claim, bornMs: startMs + 30, generation: 3, claimedMs: clock.ms };
        await state.noteOwner({ ...next, begunMs: clock.ms });
        expect((await state.owner()).generation).toBe(3);
        expect((await viewOf(receiptFor("a"))).owner).toMatchObject({ bornMs: startMs + 30 });
      });

      it("voids a look that began before it and is noted after it, whatever the clock said", async () => {
        const { bornMs: before } = await state.owner();
        const { bornMs } = await state.recover();
        const look = { bornMs: before, generation: 9, claimedMs: 1, elsewhere: true };
        for (const begunMs of [startMs - 1, startMs, startMs + 1])
          await state.noteOwner({ ...look, begunMs });
        const nothing = { bornMs, lookMs: null, generation: 0, claimedMs: null, elsewhere: false };
        expect(await state.owner()).toMatchObject(nothing);
        await state.noteOwner({ ...look, bornMs, begunMs: startMs - 1, elsewhere: false });
        expect(await state.owner()).toMatchObject({ lookMs: startMs - 1, generation: 9 });
      });

      it("shows as recovering until the first look that counts, and a new state never does", async () => {
        const look = { bornMs: 0, generation: 9, claimedMs: null, elsewhere: false };
        expect((await state.owner()).recovering).toBe(false);
        const { bornMs } = await state.recover();
        await state.noteOwner({ ...look, begunMs: startMs });
        expect((await state.owner()).recovering).toBe(true);
        await state.noteOwner({ ...look, bornMs, begunMs: startMs });
        expect(await state.owner()).toMatchObject({ recovering: false, unclaimed: true });
        await state.noteOwner({ ...look, bornMs, begunMs: startMs, claimedMs: startMs });
        expect(await state.owner()).toMatchObject({ recovering: false, unclaimed: false });
        await state.recover();
        expect(await state.owner()).toMatchObject({ recovering: true, unclaimed: true });
      });
    });

    quarantineContract(() => state);
    overviewContract(() => state);
    troublesContract(() => state);

    describe("versions and series", () => {
      it("see a lower version of a document as rolled back", async () => {
        expect(await state.seeVersion("trust", 5)).toBe("fine");
        expect(await state.seeVersion("trust", 5)).toBe("fine");
        expect(await state.seeVersion("trust", 4)).toBe("rolled-back");
        expect(await state.seeVersion("other", 1)).toBe("fine");
        expect(await state.seeVersion("trust", 6)).toBe("fine");
        expect(await state.seeVersion("trust", 5)).toBe("rolled-back");
        expect(await state.seenVersion("trust")).toBe(6);
      });

      it("tell the highest version seen without seeing one", async () => {
        expect(await state.seenVersion("trust")).toBe(0);
        expect(await state.seeVersion("trust", 1)).toBe("fine");
      });

      it("count each series up from 1", async () => {
        expect(await state.nextNumber("card")).toBe(1);
        expect(await state.nextNumber("card")).toBe(2);
        expect(await state.nextNumber("other")).toBe(1);
      });
    });

    describe("collect", () => {
      const skewMs = 1000;
      const retentionMs = 10_000;
      const options: CollectOptions = { limit: 100, skewMs, retentionMs };
      const nothing = { receipts: 0, outbox: 0, quarantine: 0, troubles: 0 };
      /** The last moment at which something that ended then, and expired long before, is kept. */
      const endedMs = startMs - retentionMs;
      /** The expiry, in seconds, of what is still kept at the start, and no longer. */
      const exp = (startMs - 3 * skewMs) / 1000;

      it("takes an ended, acknowledged receipt only past its retention", async () => {
        await put(state, receiptFor("a", endedAt(endedMs)));
        expect(await state.collect(options)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(options)).toStrictEqual({ ...nothing, receipts: 1 });
        expect(await state.receipts(everything)).toStrictEqual([]);
      });

      it("takes it only past its expiry and three skews", async () => {
        await put(state, receiptFor("a", { exp, ...endedAt(1) }));
        expect(await state.collect(options)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(options)).toStrictEqual({ ...nothing, receipts: 1 });
      });

      it("leaves what is open, or not acknowledged, for ever", async () => {
        await put(state, receiptFor("open"));
        await put(state, receiptFor("published", endedAt(1, { acknowledged: false })));
        clock.ms += 1e12;
        expect(await state.collect(options)).toStrictEqual(nothing);
      });

      it("takes things at the same moments by the limits of the protocol", async () => {
        const byLimits = { ...limits, limit: 9 };
        const margin = toSeconds(limits.retentionMs - 3 * limits.skewMs);
        await put(state, receiptFor("by its end", { exp: margin, ...endedAt(2) }));
        await put(state, receiptFor("by its expiry", { exp: margin, ...endedAt(0) }));
        clock.ms = limits.retentionMs;
        expect(await state.collect(byLimits)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(byLimits)).toStrictEqual({ ...nothing, receipts: 1 });
        expect(await state.receipts(everything)).toMatchObject([{ ended: { atMs: 2 } }]);
        clock.ms += 1;
        expect(await state.collect(byLimits)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(byLimits)).toStrictEqual({ ...nothing, receipts: 1 });
      });

      it("leaves a run that an open one of the same sender continues, until that one ends", async () => {
        await put(state, receiptFor("earlier", endedAt(1)));
        const next = receiptFor("next", { continues: runIdFor("earlier") });
        await put(state, next);
        expect(await state.collect(options)).toStrictEqual(nothing);
        await put(state, { ...next, ...endedAt(startMs) });
        expect(await state.collect(options)).toStrictEqual({ ...nothing, receipts: 1 });
      });

      it("leaves of a run that is continued only what was admitted", async () => {
        const admitted = receiptFor("earlier", endedAt(2));
        const requestDigest = digestFor("conflict");
        await put(state, { ...admitted, requestDigest, admitted: false, ...endedAt(1) });
        await put(state, admitted);
        const next = receiptFor("next", { continues: admitted.runId });
        await put(state, next);
        expect(await state.collect({ ...options, limit: 1 })).toMatchObject({ receipts: 1 });
        expect(await state.collect(options)).toStrictEqual(nothing);
        expect(await state.receipts(everything)).toStrictEqual(
          expect.arrayContaining([admitted, next]),
        );
      });

      it("takes no notice of a stranger who names the run", async () => {
        await put(state, receiptFor("earlier", endedAt(1)));
        const continues = runIdFor("earlier");
        await put(state, receiptFor("next", { continues, from: otherPeer }));
        expect(await state.collect(options)).toStrictEqual({ ...nothing, receipts: 1 });
      });

      it("takes a closed outbox record with its transcript only past its retention", async () => {
        const { runId } = outboxFor("a");
        await state.openOutbox(outboxFor("a"));
        await state.closeOutbox(outboxFor("a"), transcriptFor("a", endedMs));
        expect(await state.collect(options)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(options)).toStrictEqual({ ...nothing, outbox: 1 });
        expect(await state.outboxRecord(runId)).toBeUndefined();
        expect(await state.transcript(runId)).toBeUndefined();
        await state.openOutbox(outboxFor("a"));
        const shorter = transcriptFor("a", clock.ms, 1);
        expect((await state.closeOutbox(outboxFor("a"), shorter)).status).toBe("closed");
        expect(await state.transcript(runId)).toStrictEqual(shorter);
      });

      it("takes a closed outbox record only past its expiry and three skews", async () => {
        await state.openOutbox(outboxFor("a", { exp }));
        await state.closeOutbox(outboxFor("a"), transcriptFor("a", 1));
        expect(await state.collect(options)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(options)).toStrictEqual({ ...nothing, outbox: 1 });
      });

      it("takes first what was kept the least long, by its end or by its expiry", async () => {
        const lately = exp + retentionMs / 1000 - 1;
        clock.ms += retentionMs;
        await put(state, receiptFor("by its expiry", { exp: lately, ...endedAt(1) }));
        await put(state, receiptFor("by its end", endedAt(endedMs)));
        await state.openOutbox(outboxFor("by its expiry", { exp: lately }));
        await state.closeOutbox(outboxFor("by its expiry"), transcriptFor("by its expiry", 1));
        await state.openOutbox(outboxFor("by its end"));
        await state.closeOutbox(outboxFor("by its end"), transcriptFor("by its end", endedMs));
        const receipts = { ...options, limit: 1 };
        expect(await state.collect(receipts)).toStrictEqual({ ...nothing, receipts: 1 });
        expect(await state.receipts(everything)).toMatchObject([{ exp: lately }]);
        await state.collect(receipts);
        expect(await state.collect(receipts)).toStrictEqual({ ...nothing, outbox: 1 });
        expect(await state.outboxRecords(everything)).toMatchObject([{ exp: lately }]);
      });

      it("counts an unknown record's retention from when it became so, and leaves open ones", async () => {
        await state.openOutbox(outboxFor("a"));
        await state.openOutbox(outboxFor("open"));
        await state.noteOutbox(outboxFor("a"), { state: "unknown" });
        clock.ms += retentionMs;
        await state.noteOutbox(outboxFor("a"), { state: "unknown", sentMs: clock.ms });
        expect(await state.collect(options)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(options)).toStrictEqual({ ...nothing, outbox: 1 });
        expect(await state.outboxRecords(everything)).toStrictEqual([outboxFor("open")]);
      });

      it("starts the retention of an unknown record anew when it was open in between", async () => {
        await state.openOutbox(outboxFor("a"));
        await state.noteOutbox(outboxFor("a"), { state: "unknown" });
        await state.noteOutbox(outboxFor("a"), { state: "open" });
        clock.ms += retentionMs + 1;
        expect(await state.collect(options)).toStrictEqual(nothing);
        await state.noteOutbox(outboxFor("a"), { state: "unknown" });
        expect(await state.collect(options)).toStrictEqual(nothing);
      });

      it("takes quarantined objects only past their retention, released or not", async () => {
        const budget = { maxBytes: 99, maxEntries: 9 };
        await state.quarantine(refusedObject({ atMs: endedMs, key: "released" }), budget);
        const [entry] = await state.quarantined(everything);
        await state.releaseQuarantined(entry?.id ?? "none");
        await state.quarantine(refusedObject({ atMs: endedMs }), budget);
        expect(await state.collect(options)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(options)).toStrictEqual({ ...nothing, quarantine: 2 });
        expect(await state.quarantined(everything)).toStrictEqual([]);
      });

      it("takes troubles only past their retention", async () => {
        await state.noteTrouble(troubleOf("peer", { atMs: endedMs }));
        expect(await state.collect(options)).toStrictEqual(nothing);
        clock.ms += 1;
        expect(await state.collect(options)).toStrictEqual({ ...nothing, troubles: 1 });
        expect(await state.troubles()).toStrictEqual([]);
      });

      it("takes at most `limit` of all kinds together, and the rest the next time", async () => {
        await put(state, receiptFor("a", endedAt(2)));
        await put(state, receiptFor("b", endedAt(1)));
        await state.openOutbox(outboxFor("a"));
        await state.closeOutbox(outboxFor("a"), transcriptFor("a", 1));
        await state.quarantine(refusedObject({ atMs: 1 }), { maxBytes: 99, maxEntries: 9 });
        await state.noteTrouble(troubleOf("peer", { atMs: 1 }));
        const one = { ...options, limit: 1 };
        expect(await state.collect({ ...options, limit: 0 })).toStrictEqual(nothing);
        expect(await state.collect(one)).toStrictEqual({ ...nothing, receipts: 1 });
        const [left] = await state.receipts(everything);
        expect(left?.runId).toBe(runIdFor("a"));
        const three = { ...options, limit: 2 };
        expect(await state.collect(three)).toStrictEqual({ ...nothing, receipts: 1, outbox: 1 });
        expect(await state.collect(one)).toStrictEqual({ ...nothing, quarantine: 1 });
        expect(await state.collect(one)).toStrictEqual({ ...nothing, troubles: 1 });
        expect(await state.collect(one)).toStrictEqual(nothing);
      });

      it("only counts in a dry run, and does not even raise the highest clock", async () => {
        const over = receiptFor("a", endedAt(1));
        await put(state, over);
        clock.ms += 1;
        const dry = await state.collect({ ...options, dryRun: true });
        expect(dry).toStrictEqual({ ...nothing, receipts: 1 });
        expect(await state.receipts(everything)).toStrictEqual([over]);
        expect((await viewOf(over)).highestClockMs).toBe(startMs);
      });

      it("stores the highest clock with what it deletes, and takes nothing under one behind", async () => {
        await put(state, receiptFor("a", endedAt(1)));
        clock.ms = startMs + 9;
        expect((await state.collect(options)).receipts).toBe(1);
        await put(state, receiptFor("b", endedAt(1)));
        clock.ms = startMs + 8;
        expect(await state.collect(options)).toStrictEqual(nothing);
        expect((await viewOf(receiptFor("b"))).highestClockMs).toBe(startMs + 9);
        expect(await state.highestClockMs()).toBe(startMs + 9);
        clock.ms = startMs + 9;
        expect((await state.collect(options)).receipts).toBe(1);
      });
    });

    describe("once closed", () => {
      it("rejects every step as INTERNAL, and may be closed again", async () => {
        const other = await place.open(clock);
        await other.close();
        await other.close();
        await expect(other.owner()).rejects.toMatchObject(code("INTERNAL"));
        await expect(put(other, receiptFor("a"))).rejects.toMatchObject(code("INTERNAL"));
        expect(await state.receipts(everything)).toStrictEqual([]);
      });
    });
  });
}

function refOf({ from, runId, requestDigest }: Receipt): RunRef {
  return { from, runId, requestDigest };
}

function code(expected: ErrorCode): { code: ErrorCode } {
  return { code: expected };
}
