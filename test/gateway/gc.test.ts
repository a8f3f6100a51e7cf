import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import type { ObjectKey } from "../../src/base/names.ts";
import { serve } from "../../src/gateway/serve.ts";
import { gc, type GcOptions, type GcReport } from "../../src/gateway/gc.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { ensureOwner } from "../../src/mailbox/owner.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { plantRequest } from "../support/forged.ts";
import { digestOf, runOf } from "../support/receipts.ts";
import {
  codeOf,
  pass,
  routes,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

let two: TwoGateways;
let asker: Mailbox;
let doer: Mailbox;
beforeEach(() => {
  two = twoGateways();
  asker = two.asker.process();
  doer = two.doer.process();
});

function collect(box: Mailbox, more: Partial<GcOptions> = {}): Promise<GcReport> {
  return two.clock.until(gc(box, { sweepTemporaries: async () => 0, ...more }));
}

async function keysInStore(): Promise<readonly string[]> {
  const { entries } = await two.store.list({ prefix: "", limit: 1000 });
  return entries.map(({ key }) => key);
}

const nothing = {
  state: { receipts: 0, outbox: 0, quarantine: 0, troubles: 0 },
  store: {
    answeredFrames: 0,
    unknownFrames: 0,
    leftFrames: 0,
    cancels: 0,
    probes: 0,
    ownerKeys: 0,
    temporaries: 0,
  },
  problem: null,
};

const unknownFrames = (to: Mailbox, from: Mailbox): ObjectKey =>
  objectKey({
    kind: "frames",
    to: to.self,
    from: from.self,
    runId: runOf("a"),
    digest16: digest16Of(digestOf("a")),
    attempt: 1,
    seq: 0,
  });

/** One of everything that retention lets go, of either gateway, and one of everything that it keeps. */
async function leaveEverything(): Promise<void> {
  const record = await two.asks(asker, "old", { idempotencyKey: "old" });
  plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
  await pass(two.clock, doer, sayer());
  await pass(two.clock, asker);
  // The request comes again, and is answered again.
  two.store.plant(record.key, record.envelope);
  await pass(two.clock, doer, sayer());
  for (const [own, other] of [
    [asker, doer],
    [doer, asker],
  ] as const) {
    two.store.plant(unknownFrames(own, other), utf8("x"));
    two.store.plant(`${own.self}/probe/${"a".repeat(26)}`, utf8("x"));
    await own.state.noteTrouble({ subject: "p", code: "C", message: "m", atMs: two.clock.now() });
  }
  two.store.plant(`doer/inbox/asker/${record.runId}.${"a".repeat(16)}.cancel`, utf8("x"));
  two.clock.jump(limits.maxTtlMs + limits.retentionMs);
  const waits = await two.asks(asker, "waits", { idempotencyKey: "waits" });
  await cancelRun(asker, waits.runId);
  two.store.plant("doer/frames/junk", utf8("x"));
  two.store.plant("doer/probe/junk", utf8("x"));
  two.store.plant(`doer/card/${"1".padStart(10, "0")}`, utf8("x"));
  two.store.plant("third/frames/x", utf8("x"));
}

describe("retention to its end", () => {
  it("lets all that is this gateway's and nobody needs go, and nothing else", async () => {
    await leaveEverything();
    const before = await keysInStore();
    expect(await collect(doer)).toEqual({
      state: { receipts: 1, outbox: 0, quarantine: 1, troubles: 2 },
      store: { ...nothing.store, unknownFrames: 1, leftFrames: 1, cancels: 1, probes: 1 },
      problem: null,
    });
    const gone = before.filter((key) => key.startsWith("doer/"));
    const left = await keysInStore();
    expect(before.filter((key) => !left.includes(key))).toEqual(
      gone.filter((key) => /^doer\/(?:frames\/asker|probe\/a|inbox\/.*\.a{16}\.cancel)/.test(key)),
    );
    expect(await collect(asker)).toEqual({
      state: { receipts: 0, outbox: 1, quarantine: 0, troubles: 1 },
      store: { ...nothing.store, answeredFrames: 1, unknownFrames: 1, probes: 1 },
      problem: null,
    });
    for (const box of [asker, doer]) {
      const again = await collect(box);
      expect(again.state).toEqual(nothing.state);
      expect({ ...again.store, leftFrames: 0 }).toEqual(nothing.store);
    }
  });

  it("in a dry run counts the same, and changes nothing in state and store", async () => {
    await leaveEverything();
    const sides = [two.asker, two.doer];
    const before = [sides.map((side) => side.disk.snapshot()), await keysInStore()];
    for (const side of sides) side.calls.splice(0);
    const dry = [await collect(asker, { dryRun: true }), await collect(doer, { dryRun: true })];
    expect([sides.map((side) => side.disk.snapshot()), await keysInStore()]).toStrictEqual(before);
    const writes = sides.flatMap(({ calls }) =>
      calls.filter((call) => /^(?:put|delete)/.test(call)),
    );
    expect(writes).toEqual([]);
    expect([await collect(asker), await collect(doer)]).toEqual(dry);
  });

  it("keeps what ended less than a week ago", async () => {
    await two.asks(asker, "young");
    await pass(two.clock, doer, sayer());
    await pass(two.clock, asker);
    two.store.plant(unknownFrames(asker, doer), utf8("x"));
    two.clock.jump(limits.retentionMs - 60_000);
    expect(await collect(doer)).toEqual(nothing);
    expect(await collect(asker)).toEqual({
      ...nothing,
      store: { ...nothing.store, leftFrames: 1 },
    });
  });

  it("goes on for as many slices as it takes", async () => {
    const count = limits.maxTroubles;
    for (let number = 0; number < count; number += 1) {
      const trouble = { subject: `p${number}`, code: "C", message: "m", atMs: two.clock.now() };
      await doer.state.noteTrouble(trouble);
    }
    plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
    await pass(two.clock, doer);
    two.clock.jump(2 * limits.retentionMs);
    const dry = await collect(doer, { dryRun: true });
    expect(dry.state.quarantine + dry.state.troubles).toBeGreaterThan(limits.collectPerPass);
    expect(await collect(doer)).toEqual(dry);
  });

  it("lets past owner keys go", async () => {
    for (let hour = 0; hour < 105; hour += 1) {
      two.clock.jump(limits.ownerClaimMs);
      await ensureOwner(doer);
    }
    two.store.plant("doer/owner/0000000001", utf8("junk"));
    const { store } = await collect(doer);
    expect(store.ownerKeys).toBe(0);
    two.doer.trouble = ({ operation }) =>
      operation === "delete" ? { when: "before", code: "STORE_DENIED" } : undefined;
    two.clock.jump(limits.ownerClaimMs);
    await ensureOwner(doer);
    two.doer.trouble = () => undefined;
    expect((await collect(doer, { dryRun: true })).store.ownerKeys).toBe(1);
    expect((await collect(doer)).store.ownerKeys).toBe(1);
  });

  it("counts what the store's driver removes by itself", async () => {
    const { store } = await collect(doer, { sweepTemporaries: async () => 7 });
    expect(store.temporaries).toBe(7);
  });

  it("ends where it is told to", async () => {
    await leaveEverything();
    const before = await keysInStore();
    await collect(doer, { signal: AbortSignal.abort() });
    expect(await keysInStore()).toEqual(before);
  });
});

describe("an object that cannot be deleted, met by what tidies up in passing,", () => {
  beforeEach(async () => {
    await leaveEverything();
    const key = unknownFrames(doer, asker);
    const { random } = doer;
    // Each pass sweeps.
    doer = { ...doer, random: { bytes: (count) => random.bytes(count), fraction: () => 0 } };
    two.store.plant(`${key.slice(0, -1)}1`, utf8("x"));
    two.clock.jump(2 * limits.retentionMs);
    two.doer.trouble = ({ operation, name }) =>
      operation === "delete" && name === key ? { when: "before", code: "STORE_DENIED" } : undefined;
  });

  it("is a problem of the pass, and keeps it from nothing else", async () => {
    const { problems, collected } = await pass(two.clock, doer, sayer());
    expect(problems.map(({ code }) => code)).toEqual(["STORE_DENIED"]);
    expect(collected).toBe(4);
    expect(await two.keys("doer/frames/asker")).toEqual([unknownFrames(doer, asker)]);
  });

  it("does not keep a service from collecting", async () => {
    const stop = new AbortController();
    const bounds = { minDelayMs: 1000, maxDelayMs: 1000, graceMs: 1000 };
    const service = serve(doer, { ...routes(sayer()), ...bounds, signal: stop.signal });
    await two.clock.advance(10);
    stop.abort();
    expect((await two.clock.until(service)).collected).toBe(4);
    expect((await doer.state.troubles()).map(({ code }) => code)).toContain("STORE_DENIED");
  });
});

describe("what stands in the way of retention", () => {
  it("a clock that is behind: CLOCK_BEHIND, and nothing goes", async () => {
    await leaveEverything();
    await doer.state.notePass({ atMs: 1, code: null });
    two.clock.jump(-1);
    const before = [two.doer.disk.snapshot(), await keysInStore()];
    for (const dryRun of [true, false])
      expect(await codeOf(two.clock, collect(doer, { dryRun }))).toBe("CLOCK_BEHIND");
    expect([two.doer.disk.snapshot(), await keysInStore()]).toStrictEqual(before);
  });

  it("a store that is away is a problem of the report; the state is collected all the same", async () => {
    await leaveEverything();
    two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    const { state, store, problem } = await collect(doer);
    expect([state.receipts, store, problem?.code]).toEqual([1, nothing.store, "STORE_UNREACHABLE"]);
  });

  it("a store that goes away meanwhile: what went until then is counted", async () => {
    await leaveEverything();
    let away = false;
    two.doer.trouble = ({ operation }) => {
      if (away) return { when: "before", code: "STORE_UNREACHABLE" };
      away = operation === "delete";
      return undefined;
    };
    const { store, problem } = await collect(doer);
    expect([store, problem?.code]).toEqual([
      { ...nothing.store, unknownFrames: 1, leftFrames: 1 },
      "STORE_UNREACHABLE",
    ]);
  });

  it("an object that cannot be deleted is a problem of the report, and keeps no other one", async () => {
    await leaveEverything();
    await ensureOwner(doer);
    const before = await keysInStore();
    two.doer.trouble = ({ operation, name }) =>
      operation === "delete" && name.startsWith("doer/frames/")
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    const { state, store, problem } = await collect(doer);
    expect([state.receipts, problem?.code]).toEqual([1, "STORE_DENIED"]);
    expect(store).toEqual({ ...nothing.store, leftFrames: 1, cancels: 1, probes: 1 });
    expect(before.length - (await keysInStore()).length).toBe(2);
  });

  it("another state that serves the name: STATE_ELSEWHERE, and the store is left alone", async () => {
    await leaveEverything();
    await two.store.delete(unknownFrames(doer, asker));
    const other = { ...two.doer.process(), state: two.asker.process().state };
    await other.state.recover();
    await ensureOwner(other);
    const before = await keysInStore();
    for (const dryRun of [true, false])
      expect((await collect(doer, { dryRun })).problem?.code).toBe("STATE_ELSEWHERE");
    expect(await keysInStore()).toEqual(before);
  });
});
