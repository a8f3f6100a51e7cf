import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName, parseRunId, type RunId } from "../../src/base/names.ts";
import { poll, type PollReport } from "../../src/gateway/poll.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { digest16Of, objectKey, type ObjectName } from "../../src/protocol/object-key.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import { aroundStore } from "../../src/store/around.ts";
import { aroundState } from "../support/around-state.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { framesKeyOf, plantFrames, plantRequest, started, succeeds } from "../support/forged.ts";
import {
  codeOf,
  hanger,
  pass,
  plainGrants,
  readAll,
  routes,
  sayer,
  Side,
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

const digest16 = digest16Of(requestDigestOf(utf8("a request")));
const requestOfStranger = (runId: RunId, number: number): ObjectName => ({
  kind: "request",
  to: doer.self,
  from: parseGatewayName(`stranger${number}`),
  runId,
});

const codesOf = ({ problems }: PollReport) => problems.map(({ code }) => code);
const calls = () => ({ asker: two.asker.calls.splice(0), doer: two.doer.calls.splice(0) });

/** A handler that counts how many of it are at work at once. */
function crowd() {
  let present = 0;
  const seen = { most: 0, starts: 0 };
  const handler: Handler = {
    run: async () => {
      present += 1;
      seen.starts += 1;
      seen.most = Math.max(seen.most, present);
      await two.clock.sleep(10_000);
      present -= 1;
      return {};
    },
  };
  return { handler, seen };
}

const endOf = ({ ended }: Receipt): number => ended?.atMs ?? Infinity;

async function askMany(count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    await two.asks(asker, "hi", { idempotencyKey: `k${number}` });
  }
}

/** Runs that a worker had begun when it died, and how another one takes them up. */
async function leftBehind(count: number) {
  two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 9 });
  await askMany(count);
  const dying = poll(doer, { ...routes(hanger().handler), maxConcurrentRuns: count });
  void dying.catch(() => undefined);
  await two.clock.advance(1000);
  two.doer.kill(doer);
  const { handler, seen } = crowd();
  return { handler, seen, options: routes(handler, { onCrash: "retry" }) };
}

describe("the store requests of one short run", () => {
  it("are exactly these, once the name is claimed, but for a sweep now and then", async () => {
    const { random } = doer;
    doer = { ...doer, random: { bytes: (count) => random.bytes(count), fraction: () => 0.5 } };
    await pass(two.clock, doer);
    calls();
    const record = await two.asks(asker, "hi");
    expect(calls().asker).toEqual(["put request"]);
    await pass(two.clock, doer, sayer("a", "b"));
    expect(calls().doer).toEqual([
      "list inbox",
      "get request",
      "list owner",
      "put probe",
      "put probe",
      "delete probe",
      "put owner",
      "put frames",
      "delete request",
    ]);
    await readAll(two.clock, asker, record);
    expect(calls().asker).toEqual(["get frames", "delete frames"]);
    two.clock.jump(limits.ownerLookMs);

    const second = await two.asks(asker, "hi", { idempotencyKey: "k2" });
    await pass(two.clock, doer, sayer("a"));
    // A look at the owner keys is one read; a claim is made once an hour.
    expect(calls().doer).toEqual([
      "list inbox",
      "get request",
      "get owner",
      "put frames",
      "delete request",
    ]);
    await readAll(two.clock, asker, second);
    expect(calls().asker).toEqual(["get frames", "delete frames"]);
  });

  it("of a pass with nothing to do are one", async () => {
    await pass(two.clock, doer);
    expect(calls().doer).toEqual(["list inbox"]);
  });
});

it("answers a peer beside two hundred thousand junk names, for a bounded number of listings", async () => {
  const numbers = Array.from({ length: 100_000 }, (_, count) => String(count).padStart(6, "0"));
  for (const number of numbers) two.store.plant(`doer/inbox/${number}`, utf8("junk"));
  for (const number of numbers) two.store.plant(`doer/inbox/a${number}/junk`, utf8("junk"));
  for (let passes = 1; passes <= 2; passes += 1) {
    const record = await two.asks(asker, "hi", { idempotencyKey: `k${passes}` });
    calls();
    expect((await pass(two.clock, doer)).admitted).toBe(1);
    const made = calls().doer;
    const listings = made.filter((call) => call === "list inbox");
    expect(listings.length).toBeLessThan(3 * limits.inboxPagesPerRound);
    expect(made.length - listings.length).toBeLessThan(10);
    expect((await readAll(two.clock, asker, record)).followed.status).toBe("closed");
  }
  expect(two.doer.quarantined).toHaveLength(limits.quarantineEntriesPerPeer);
});

it("gives each peer its turn, where there is room for one run only and another has always more", async () => {
  const zeta = new Side("zeta", 3, two.clock, two.store);
  two.doer.trusts(zeta);
  const served: string[] = [];
  const handler: Handler = {
    run: async ({ caller }) => {
      served.push(caller);
      return {};
    },
  };
  for (let number = 0; number < 20; number += 1) {
    plantRequest(two, { idempotencyKey: `${number}` });
    plantRequest({ ...two, asker: zeta }, { idempotencyKey: `${number}` });
    await pass(two.clock, doer, handler, { maxConcurrentRuns: 1, maxRuns: 1 });
  }
  expect(new Set(served)).toEqual(new Set(["asker", "zeta"]));
});

describe("running once", () => {
  it("holds for two processes that poll at once", async () => {
    await askMany(3);
    const { handler, seen } = crowd();
    await Promise.all([
      pass(two.clock, doer, handler),
      pass(two.clock, two.doer.process(), handler),
    ]);
    expect(seen.starts).toBe(3);
  });

  it("holds when the bucket brings a request back that was answered", async () => {
    const record = await two.asks(asker, "hi");
    const { handler, seen } = crowd();
    await pass(two.clock, doer, handler);
    two.store.plant(record.key, record.envelope);
    await pass(two.clock, doer, handler);
    expect(seen.starts).toBe(1);
    expect(await two.keys("doer/inbox/")).toEqual([]);
  });

  it("holds after a crash: what was running is reported, not repeated", async () => {
    const record = await two.asks(asker, "hi");
    const hanging = hanger();
    void poll(doer, routes(hanging.handler)).catch(() => undefined);
    await two.clock.advance(1000);
    two.doer.kill(doer);
    const report = await pass(two.clock, two.doer.process(), hanging.handler);
    expect(report.takenOver).toBe(1);
    expect(hanging.starts()).toBe(1);
    const { followed } = await readAll(two.clock, asker, record);
    expect(followed).toMatchObject({ terminal: { error: { code: "INTERRUPTED" } } });
  });
});

describe("the bound on runs at once", () => {
  it("is kept, and everything that waits runs all the same", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 9 });
    await askMany(5);
    const { handler, seen } = crowd();
    const report = await pass(two.clock, doer, handler, { maxConcurrentRuns: 2 });
    expect([seen.most, seen.starts, report.admitted]).toEqual([2, 5, 5]);
  });

  it("of a sender is kept, and what waits for it runs in the same pass", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    await askMany(3);
    const { handler, seen } = crowd();
    await pass(two.clock, doer, handler);
    expect([seen.most, seen.starts]).toEqual([1, 3]);
  });

  it("holds nothing back for which room came while the look went on elsewhere", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    two.doer.trusts(new Side("zeta", 3, two.clock, two.store));
    for (let count = 0; count <= limits.listPageKeys; count += 1)
      two.store.plant(`doer/inbox/zeta/-${count}`, utf8("x"));
    await askMany(2);
    const store = aroundStore(doer.store, async ({ operation, name }, run) => {
      if (operation === "list" && name.includes("zeta")) await two.clock.sleep(20_000);
      return run();
    });
    const { admitted, waiting } = await pass(two.clock, { ...doer, store }, crowd().handler);
    expect([admitted, waiting]).toEqual([2, 0]);
  });

  it("makes no pass wait for what waits for a quota", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1, maxRequestsPerMinute: 3 });
    for (let number = 0; number < 9; number += 1)
      plantRequest(two, { idempotencyKey: `${number}` });
    const apartMs = limits.pollDelayMs / 2;
    for (let passes = 0; passes < 3; passes += 1) {
      await pass(two.clock, doer, sayer(), { maxRuns: 1 });
      two.clock.jump(apartMs);
    }
    two.clock.jump(limits.rateWindowMs - 3 * apartMs);
    const { admitted, waiting } = await pass(two.clock, doer);
    expect([admitted, waiting]).toEqual([1, 5]);
  });

  it("counts what another process of the home runs only for as long as that runs", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 9 });
    const bound = { maxConcurrentRuns: 2 };
    const [theirs, ours] = [hanger(), hanger()];
    await two.asks(asker, "hi", { idempotencyKey: "theirs" });
    const first = poll(two.doer.process(), { ...routes(theirs.handler), maxRuns: 1 });
    await two.clock.advance(1000);
    const long = await two.asks(asker, "hi", { idempotencyKey: "ours" });
    const second = poll(doer, { ...routes(ours.handler), ...bound });
    await two.clock.advance(1000);
    const waiting = await two.asks(asker, "hi", { idempotencyKey: "waiting" });
    await two.clock.advance(2 * limits.runDelayMs);
    expect([theirs.starts(), ours.starts()]).toEqual([1, 1]);
    theirs.finish();
    await two.clock.until(first);
    await two.clock.advance(2 * limits.runDelayMs);
    expect(ours.starts()).toBe(2);
    for (const { runId } of [long, waiting]) await cancelRun(asker, runId);
    await two.clock.until(second);
  });

  it("leaves room first to what a dead worker left, all of which one pass comes to", async () => {
    const { handler, seen, options } = await leftBehind(3);
    await two.asks(asker, "hi", { idempotencyKey: "new" });
    const bound = { ...options, maxConcurrentRuns: 1 };
    const { admitted, takenOver } = await pass(two.clock, two.doer.process(), handler, bound);
    expect([seen.most, seen.starts, admitted, takenOver]).toEqual([1, 4, 1, 3]);
    const byEnd = two.doer.receipts.toSorted((one, other) => endOf(one) - endOf(other));
    expect(byEnd.at(-1)?.starts).toBe(1);
  });

  it("takes up nothing of what a dead worker left once the own trust document has expired", async () => {
    const { options, handler } = await leftBehind(3);
    const polling = poll(two.doer.process(), { ...options, maxConcurrentRuns: 1 });
    const code = codeOf(two.clock, polling);
    await two.clock.advance(5000);
    two.doer.trustExpires = new Date(two.clock.now()).toISOString();
    expect(await code).toBe("TRUST_EXPIRED");
    expect(two.doer.receipts.map(({ attempt }) => attempt)).toEqual([2, 1, 1]);
    two.doer.trustExpires = "2099-01-01T00:00:00Z";
    expect((await pass(two.clock, two.doer.process(), handler, options)).takenOver).toBe(2);
  });

  it("does not take up again and again, without a pause, what cannot be started", async () => {
    const { options } = await leftBehind(3);
    let steps = 0;
    let failing = true;
    const busy = aroundState(two.doer.process(), (name, step) => {
      if (name === "stepRun" && failing) steps += 1;
      if (steps === 1000) failing = false;
      const isStart = name === "stepRun" && steps % 2 === 0;
      if (failing && isStart) throw new PosternError("STATE_BUSY", "made up by a test");
      return step();
    });
    const polling = poll(busy, { ...options, maxConcurrentRuns: 1 });
    await two.clock.advance(10_000);
    expect(steps).toBeGreaterThan(10);
    expect(steps).toBeLessThan(40);
    failing = false;
    expect(codesOf(await two.clock.until(polling))).toEqual(["STATE_BUSY"]);
    expect(two.doer.receipts.map(({ state }) => state)).toEqual(["ended", "ended", "ended"]);
  });

  it("does not make what runs deaf to a cancel where the store is slow to fail at what was left", async () => {
    await leftBehind(8);
    const left = two.doer.receipts.map(({ runId }) => runId);
    const own = await two.asks(asker, "hi", { idempotencyKey: "own" });
    const process = two.doer.process();
    const store = aroundStore(process.store, async ({ operation, name }, run) => {
      if (operation !== "get" || !left.some((runId) => name.includes(runId))) return run();
      await two.clock.sleep(2 * limits.scanMs);
      throw new PosternError("STORE_DENIED", "made up by a test");
    });
    const { handler, starts } = hanger();
    const polling = poll({ ...process, store }, { ...routes(handler), maxConcurrentRuns: 16 });
    void polling.catch(() => undefined);
    while (starts() === 0) await two.clock.advance(1000);
    await two.clock.advance(limits.scanMs);
    await cancelRun(asker, own.runId);
    await two.clock.advance(6 * limits.scanMs);
    const receipt = two.doer.receipts.find(({ runId }) => runId === own.runId);
    expect(receipt?.outcome?.error?.code).toBe("CANCELLED");
  });

  it("does not make a gateway at its bound deaf to a cancel", async () => {
    const first = await two.asks(asker, "hi");
    const polling = poll(doer, { ...routes(hanger().handler), maxConcurrentRuns: 1 });
    await two.clock.advance(1000);
    const second = await two.asks(asker, "hi", { idempotencyKey: "k2" });
    await two.clock.advance(5000);
    await cancelRun(asker, first.runId);
    await two.clock.advance(2 * limits.pollDelayMs);
    await cancelRun(asker, second.runId);
    await two.clock.until(polling, 10_000);
    const ends = two.doer.receipts.map(({ ended }) => ended?.terminal?.payload.error?.code);
    expect(ends).toEqual(["CANCELLED", "CANCELLED"]);
  });
});

describe("the bounds of a pass", () => {
  it("`maxRuns` admits no more", async () => {
    await askMany(3);
    const { handler, seen } = crowd();
    await pass(two.clock, doer, handler, { maxRuns: 2 });
    expect(seen.starts).toBe(2);
    expect(await two.keys("doer/inbox/")).toHaveLength(1);
  });

  it("`maxTimeMs` admits nothing later, and what runs goes on to its end", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    await askMany(2);
    const { handler, seen } = crowd();
    await pass(two.clock, doer, handler, { maxTimeMs: 5000 });
    expect(seen.starts).toBe(1);
    expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(true);
  });

  it("what runs is not among what waits, also where there is no room for more", async () => {
    await askMany(1);
    const { handler } = crowd();
    const bounds = { maxConcurrentRuns: 1, maxTimeMs: 5000 };
    const { admitted, waiting } = await pass(two.clock, doer, handler, bounds);
    expect([admitted, waiting]).toEqual([1, 0]);
  });

  it("a stop signal admits nothing more", async () => {
    await askMany(1);
    const report = await pass(two.clock, doer, sayer(), { signal: AbortSignal.abort() });
    expect(report.admitted).toBe(0);
  });
});

describe("a cancel", () => {
  it("is deleted once its run has ended", async () => {
    const record = await two.asks(asker, "hi");
    await cancelRun(asker, record.runId);
    await pass(two.clock, doer);
    await pass(two.clock, doer);
    expect(await two.keys("doer/inbox/")).toEqual([]);
  });

  it("for a request that never came is deleted when none can come any more", async () => {
    const record = await two.asks(asker, "hi");
    await cancelRun(asker, record.runId);
    await two.store.delete(record.key);
    two.clock.jump(limits.maxTtlMs + 3 * limits.skewMs);
    await pass(two.clock, doer);
    expect(await two.keys("doer/inbox/")).toHaveLength(1);
    two.clock.jump(1);
    await pass(two.clock, doer);
    expect(await two.keys("doer/inbox/")).toEqual([]);
  });
});

describe("what is wrong with one object", () => {
  it("does not keep others from being answered", async () => {
    plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
    const record = await two.asks(asker, "hi");
    const report = await pass(two.clock, doer);
    expect([report.quarantined, report.admitted]).toEqual([1, 1]);
    expect((await readAll(two.clock, asker, record)).followed.status).toBe("closed");
  });

  it("such as an answer that is stored encoded, keeps no other run from being closed", async () => {
    const bad = await two.asks(asker, "hi");
    await two.asks(asker, "hi", { idempotencyKey: "k2" });
    await pass(two.clock, doer);
    two.asker.trouble = ({ operation, name }) =>
      operation === "get" && name.includes(bad.runId)
        ? { when: "before", code: "STORE_ENCODING" }
        : undefined;
    expect((await pass(two.clock, asker)).closed).toBe(1);
  });

  it.each(["STORE_BUSY", "STORE_UNREACHABLE", "STORE_MISSING"] as const)(
    "such as an answer of which the store says %s, keeps no other run from being closed",
    async (code) => {
      const bad = await two.asks(asker, "hi");
      await two.asks(asker, "hi", { idempotencyKey: "k2" });
      await pass(two.clock, doer);
      two.asker.trouble = ({ operation, name }) =>
        operation === "get" && name.includes(bad.runId) ? { when: "before", code } : undefined;
      const report = await pass(two.clock, asker);
      expect([report.closed, codesOf(report)]).toEqual([1, ["STORE_FAILED"]]);
      expect(two.asker.outbox.map(({ state }) => state).toSorted()).toEqual(["closed", "open"]);
    },
  );

  it.each(["STORE_BUSY", "STORE_MISSING", "STORE_CLOCK_SKEW"] as const)(
    "such as a request of which the store says %s, is a problem of the report and passed over",
    async (code) => {
      const bad = plantRequest(two, { idempotencyKey: "bad" });
      await two.asks(asker, "hi");
      two.doer.trouble = ({ operation, name }) =>
        operation === "get" && name === bad.key ? { when: "before", code } : undefined;
      const report = await pass(two.clock, doer);
      expect([report.admitted, codesOf(report)]).toEqual([1, ["STORE_FAILED"]]);
      two.doer.trouble = () => undefined;
      expect((await pass(two.clock, doer)).admitted).toBe(1);
    },
  );

  it("such as requests that the store is slow to fail at, is left for the next scan once this one has gone on for long", async () => {
    for (let number = 0; number < 40; number += 1)
      plantRequest(two, { idempotencyKey: `${number}` });
    two.doer.trouble = ({ operation }) => {
      if (operation !== "get") return undefined;
      two.clock.jump(limits.scanMs / 16);
      return { when: "before", code: "STORE_BUSY" };
    };
    expect((await pass(two.clock, doer)).waiting).toBeGreaterThan(10);
    expect(two.doer.calls.filter((call) => call === "get request").length).toBeLessThan(30);
  });

  it.each<[string, (runId: RunId, number: number) => ObjectName]>([
    ["requests of invented senders", requestOfStranger],
    ["cancels", (runId) => ({ kind: "cancel", to: doer.self, from: asker.self, runId, digest16 })],
  ])("such as %s that the store is slow to fail at, is left alike", async (_what, nameOf) => {
    for (let number = 0; number < 100; number += 1) {
      const runId = parseRunId(requestDigestOf(utf8(`${number}`)));
      two.store.plant(objectKey(nameOf(runId, number)), utf8("junk"));
    }
    two.clock.jump(limits.maxTtlMs + 4 * limits.skewMs);
    two.doer.trouble = ({ operation }) => {
      if (operation !== "get" && operation !== "delete") return undefined;
      two.clock.jump(limits.scanMs / 16);
      return { when: "before", code: "STORE_BUSY" };
    };
    await pass(two.clock, doer);
    const made = calls().doer.filter((call) => !call.startsWith("list"));
    expect(made.length).toBeGreaterThan(10);
    expect(made.length).toBeLessThan(30);
  });

  it("such as a broken chain of frames, is a problem of the report", async () => {
    const record = await two.asks(asker, "hi");
    const { runId, requestDigest } = record;
    plantFrames(two, { runId, requestDigest, frames: [started()] });
    const prev = new Uint8Array(32).fill(1);
    plantFrames(two, { runId, requestDigest, seq: 1, prev, frames: [succeeds] });
    const report = await pass(two.clock, asker);
    expect(report.problems.map(({ code }) => code)).toEqual(["FRAME_CHAIN_BROKEN"]);
  });

  it("is said once, however many looks of a long pass meet it", async () => {
    const bad = plantRequest(two, { idempotencyKey: "bad" });
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes(bad.runId)
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    await two.asks(asker, "hi");
    expect(codesOf(await pass(two.clock, doer, crowd().handler))).toEqual(["STORE_DENIED"]);
  });

  it("such as an encoded request, is recorded, left in place, and passed over", async () => {
    const bad = plantRequest(two, { idempotencyKey: "bad" });
    await two.asks(asker, "hi");
    two.doer.trouble = ({ operation, name }) =>
      operation === "get" && name === bad.key
        ? { when: "before", code: "STORE_ENCODING" }
        : undefined;
    const report = await pass(two.clock, doer);
    expect([report.quarantined, report.admitted]).toEqual([1, 1]);
    expect(await two.keys("doer/inbox/")).toEqual([bad.key]);
  });

  it("such as an end that can nowhere be put, is a problem of the report", async () => {
    const record = await two.asks(asker, "hi");
    await pass(two.clock, doer);
    const [receipt] = two.doer.receipts;
    const terminal = receipt?.ended?.terminal;
    if (
      receipt?.ended === null ||
      receipt === undefined ||
      terminal === null ||
      terminal === undefined
    )
      throw new Error("the run has not ended");
    const last = { ...terminal, attempt: limits.maxAttempt };
    const ended = { ...receipt.ended, terminal: last, acknowledged: false };
    await doer.state.stepRun(receipt, () => ({
      answer: undefined,
      write: { ...receipt, attempt: limits.maxAttempt, ended },
    }));
    two.store.plant(framesKeyOf(two.asker, two.doer, record, limits.maxAttempt), utf8("taken"));
    await two.asks(asker, "hi", { idempotencyKey: "k2" });
    const report = await pass(two.clock, doer);
    expect(report.problems.map(({ code }) => code)).toEqual(["FRAME_CHAIN_BROKEN"]);
    expect(report.admitted).toBe(1);
  });
});

describe("a pass rejects, and everything waits", () => {
  it("while the own trust document has expired", async () => {
    await askMany(1);
    two.doer.trustExpires = "2029-12-31T00:00:00Z";
    expect(await codeOf(two.clock, pass(two.clock, doer))).toBe("TRUST_EXPIRED");
    expect(await two.keys("doer/inbox/")).toHaveLength(1);
  });

  it("while the clock is behind", async () => {
    await pass(two.clock, doer);
    await askMany(1);
    await pass(two.clock, doer);
    await two.asks(asker, "hi", { idempotencyKey: "later" });
    two.clock.jump(-2 * limits.clockStepMs);
    expect(await codeOf(two.clock, pass(two.clock, doer))).toBe("CLOCK_BEHIND");
    expect(await two.keys("doer/inbox/")).toHaveLength(1);
  });

  it("once another state serves the name", async () => {
    await askMany(1);
    await claimedElsewhere(doer.state, two.clock.now());
    expect(await codeOf(two.clock, pass(two.clock, doer))).toBe("STATE_ELSEWHERE");
    expect(await two.keys("doer/inbox/")).toHaveLength(1);
  });

  it("while the store cannot be reached, but only after what runs has come to its end", async () => {
    await askMany(1);
    const hanging = hanger();
    const polling = codeOf(two.clock, poll(doer, routes(hanging.handler)));
    await two.clock.advance(500);
    two.doer.trouble = ({ operation }) =>
      operation === "list" ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
    await two.clock.advance(10_000);
    hanging.finish();
    expect(await polling).toBe("STORE_UNREACHABLE");
    expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(true);
  });
});

it("hears a cancel also after a listing has failed", async () => {
  const record = await two.asks(asker, "hi");
  const polling = codeOf(two.clock, poll(doer, routes(hanger().handler)));
  await two.clock.advance(500);
  two.doer.trouble = ({ operation }) =>
    operation === "list" ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
  await two.clock.advance(5000);
  await cancelRun(asker, record.runId);
  expect(await polling).toBe("STORE_UNREACHABLE");
  expect(two.doer.onlyReceipt.outcome?.error?.code).toBe("CANCELLED");
});

it("closes what was asked from here, and sends again what was lost", async () => {
  const record = await two.asks(asker, "hi");
  await two.store.delete(record.key);
  two.clock.jump(limits.resendMs);
  expect((await pass(two.clock, asker)).closed).toBe(0);
  await pass(two.clock, doer);
  expect((await pass(two.clock, asker)).closed).toBe(1);
  expect(two.asker.outbox[0]).toMatchObject({ state: "closed", terminal: { status: "succeeded" } });
});

describe("what concerns one run", () => {
  it("does not keep a pass from the others: a folder that may not be written", async () => {
    const denied = await two.asks(asker, "denied", { idempotencyKey: "denied" });
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes(denied.runId)
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    const first = await pass(two.clock, doer);
    expect(first.problems.map(({ code }) => code)).toContain("STORE_DENIED");
    const other = await two.asks(asker, "other", { idempotencyKey: "other" });
    await pass(two.clock, doer);
    expect((await readAll(two.clock, asker, other)).followed.status).toBe("closed");
  });

  it("says when nothing more is admitted, while what runs goes on", async () => {
    await two.asks(asker, "long");
    const { handler, starts } = hanger();
    let over = false;
    const onAdmissionOver = (): void => {
      over = true;
    };
    const stop = new AbortController();
    const polling = poll(doer, {
      ...routes(handler),
      maxTimeMs: 5000,
      signal: stop.signal,
      onAdmissionOver,
    });
    await two.clock.until(two.clock.sleep(3000));
    expect([starts(), over]).toEqual([1, false]);
    await two.clock.until(two.clock.sleep(5000));
    expect([starts(), over]).toEqual([1, true]);
    expect(two.doer.onlyReceipt.state).toBe("running");
    stop.abort();
    await two.clock.until(polling);
    expect(two.doer.onlyReceipt.outcome?.status).toBe("interrupted");
  });
});

it("says that the own trust document cannot be used also when nothing waits", async () => {
  two.doer.trustExpires = "2020-01-01T00:00:00Z";
  expect(await codeOf(two.clock, pass(two.clock, doer))).toBe("TRUST_EXPIRED");
  expect(two.doer.calls).toEqual([]);
});

it("refuses an older trust document than one that was in force", async () => {
  two.doer.trustVersion = 7;
  await pass(two.clock, doer);
  two.doer.trustVersion = 6;
  expect(await codeOf(two.clock, pass(two.clock, doer))).toBe("TRUST_ROLLED_BACK");
});
