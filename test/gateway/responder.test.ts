import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseRunId } from "../../src/base/names.ts";
import { Responder } from "../../src/gateway/responder.ts";
import { admit } from "../../src/mailbox/admit.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import { aroundStore } from "../../src/store/around.ts";
import type { ListEntry, Store } from "../../src/store/store.ts";
import { plantRequest } from "../support/forged.ts";
import {
  codeOf,
  hanger,
  pass,
  plainGrants,
  routes,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

let two: TwoGateways;
let doer: Mailbox;
beforeEach(() => {
  two = twoGateways();
  doer = two.doer.process();
});

const always = (): boolean => true;
const never = (): boolean => false;

describe("a scan", () => {
  it("counts what it met", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    plantRequest(two, { idempotencyKey: "a", more: { agentTarget: parseAgentName("secret") } });
    plantRequest(two, { idempotencyKey: "b", signedFor: "elsewhere" });
    const responder = new Responder(doer, routes(hanger().handler));
    await two.clock.until(responder.scan(always));
    plantRequest(two, { idempotencyKey: "c" });
    plantRequest(two, { idempotencyKey: "d" });
    await two.clock.until(responder.scan(always));
    expect(responder.counts).toEqual({
      admitted: 1,
      takenOver: 0,
      answered: 1,
      quarantined: 1,
      waiting: 1,
    });
    expect(responder.runs.size).toBe(1);
    responder.runs.stop();
    await two.clock.until(responder.runs.settled());
    expect(responder.runs.size).toBe(0);
  });

  it("admits nothing once it may not start anything", async () => {
    plantRequest(two);
    const responder = new Responder(doer, routes(sayer()));
    await responder.scan(never);
    expect([responder.counts.admitted, two.doer.receipts]).toEqual([0, []]);
  });

  it.each([
    ["where that is full", (entry: ListEntry) => entry],
    ["whatever size the store says", (entry: ListEntry) => ({ ...entry, size: 1 })],
  ])(
    "reads no more of a peer than once more what its quarantine holds, %s",
    async (_what, told) => {
      const { maxEnvelopeBytes, quarantineBytesPerPeer, admissionsAtOnce } = limits;
      const budget = quarantineBytesPerPeer / maxEnvelopeBytes;
      const { store } = doer;
      const list: Store["list"] = async (query) => {
        const page = await store.list(query);
        return { ...page, entries: page.entries.map(told) };
      };
      const box = { ...doer, store: { ...store, list } };
      for (let count = 0; count < 3 * budget; count += 1) {
        const bytes = new Uint8Array(maxEnvelopeBytes).fill(count);
        const runId = parseRunId(requestDigestOf(bytes));
        two.store.plant(
          objectKey({ kind: "request", to: two.doer.name, from: two.asker.name, runId }),
          bytes,
        );
      }
      for (const reads of [2 * budget, budget]) {
        two.doer.calls.splice(0);
        await two.clock.until(new Responder(box, routes(sayer())).scan(always));
        const got = two.doer.calls.filter((call) => call === "get request").length;
        expect(got).toBeGreaterThanOrEqual(reads);
        expect(got).toBeLessThanOrEqual(reads + admissionsAtOnce);
      }
    },
  );

  it("says once of a peer that its quarantine is full, however much more of it there is", async () => {
    const names = limits.quarantineEntriesPerPeer + 100;
    for (let count = 0; count < names; count += 1) {
      const runId = parseRunId(requestDigestOf(utf8(`${count}`)));
      const [to, from] = [two.doer.name, two.asker.name];
      two.store.plant(objectKey({ kind: "request", to, from, runId }), utf8("junk"));
    }
    // Read once: the document of these tests is made anew each time.
    const trust = doer.trust.current();
    const box = { ...doer, trust: { current: () => trust } };
    for (let scans = 1; scans <= 2; scans += 1) {
      await two.clock.until(new Responder(box, routes(sayer())).scan(always));
      expect(two.doer.reports).toHaveLength(limits.quarantineEntriesPerPeer + scans);
    }
  });

  it("reads no more of a peer than that either, where it is signed for a time to come", async () => {
    const text = "x".repeat(limits.maxEnvelopeBytes - 1024);
    const most = limits.quarantineBytesPerPeer / text.length + limits.admissionsAtOnce;
    for (let count = 0; count < 2 * most; count += 1)
      plantRequest(two, { idempotencyKey: `${count}`, iatIn: 3600, text });
    await two.clock.until(new Responder(doer, routes(sayer())).scan(always));
    const got = two.doer.calls.filter((call) => call === "get request").length;
    expect(got).toBeLessThanOrEqual(most + 1);
  });

  it("reads no more of a sender that has reached a quota", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    for (const idempotencyKey of ["a", "b", "c", "d", "e"]) plantRequest(two, { idempotencyKey });
    const responder = new Responder(doer, routes(hanger().handler));
    await two.clock.until(responder.scan(always));
    expect(two.doer.calls.filter((call) => call === "get request")).toHaveLength(1);
    expect(responder.counts.waiting).toBe(4);
    responder.runs.stop();
    await two.clock.until(responder.runs.settled());
  });
});

describe("room that runs leave", () => {
  it("is given to what waits without listing the inbox anew", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    for (const idempotencyKey of ["a", "b", "c", "d", "e"]) plantRequest(two, { idempotencyKey });
    const responder = new Responder(doer, routes(sayer("done")));
    await two.clock.until(responder.scan(always));
    await two.clock.until(responder.runs.settled());
    expect(responder.counts).toMatchObject({ admitted: 5, waiting: 0 });
    expect(two.doer.calls.filter((call) => call === "list inbox")).toHaveLength(1);
  });

  it("is not waited for longer than a moment: who else asks is not kept waiting", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    for (const idempotencyKey of ["a", "b"]) plantRequest(two, { idempotencyKey });
    const responder = new Responder(doer, routes(hanger().handler));
    const begunMs = two.clock.now();
    await two.clock.until(responder.scan(always));
    expect(two.clock.now() - begunMs).toBeLessThan(2 * limits.pollDelayMs);
    responder.runs.stop();
    await two.clock.until(responder.runs.settled());
  });

  it("goes to no more than may start, also while several are admitted at once", async () => {
    for (const idempotencyKey of ["a", "b", "c", "d", "e"]) plantRequest(two, { idempotencyKey });
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 9 });
    const responder = new Responder(doer, routes(sayer()));
    const mayStart = (onTheirWay: number) => responder.counts.admitted + onTheirWay < 3;
    await two.clock.until(responder.scan(mayStart));
    await two.clock.until(responder.runs.settled());
    expect(responder.counts.admitted).toBe(3);
  });
});

describe("recovering", () => {
  it("publishes an end whose publishing broke off", async () => {
    plantRequest(two);
    two.doer.trouble = ({ operation }) =>
      operation === "delete" ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
    const { problems } = await pass(two.clock, doer);
    expect(problems.map(({ code }) => code)).toEqual(["STORE_UNREACHABLE"]);
    two.doer.trouble = () => undefined;
    const responder = new Responder(two.doer.process(), routes(sayer()));
    await responder.recover(always);
    expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(true);
    expect(await two.keys("doer/inbox/")).toEqual([]);
  });

  it("publishes an end behind one of the same peer's that never can be", async () => {
    const bad = plantRequest(two, { idempotencyKey: "bad" });
    two.clock.jump(1000);
    const good = plantRequest(two, { idempotencyKey: "good" });
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes("/frames/")
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    await pass(two.clock, doer);
    expect(two.doer.receipts.map(({ ended }) => ended?.acknowledged)).toEqual([false, false]);
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes(bad.runId)
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    await two.store.delete(good.key);
    for (let passes = 0; passes < 20; passes += 1)
      await new Responder(two.doer.process(), routes(sayer())).recover(always);
    const left = two.doer.receipts.filter(({ ended }) => ended?.acknowledged !== true);
    expect(left.map(({ runId }) => runId)).toEqual([bad.runId]);
  });

  it("admits no more of a peer while too many of its answers cannot be put", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxRequestsPerMinute: 10_000 });
    const refused = { more: { agentTarget: parseAgentName("secret") } };
    const most = limits.unpublishedPerPeer;
    for (let count = 0; count < most + 10; count += 1)
      plantRequest(two, { idempotencyKey: `k${count}`, ...refused });
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes("/frames/")
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    await pass(two.clock, doer);
    expect(two.doer.receipts).toHaveLength(most);
    two.doer.trouble = () => undefined;
    await pass(two.clock, doer);
    expect(two.doer.receipts.filter(({ ended }) => ended?.acknowledged === true)).toHaveLength(
      most + 10,
    );
  });

  it("claims the name for a state that was recovered while the store was away, though nothing waits", async () => {
    await doer.state.recover();
    await new Responder(doer, routes(sayer())).recover(always);
    expect(await doer.state.owner()).toMatchObject({ unclaimed: false });
    expect(await two.keys("doer/owner/")).toHaveLength(1);
  });

  /** One request that a worker admitted and died before it started it. */
  async function leaveAdmitted(idempotencyKey = "k"): Promise<void> {
    const { runId } = plantRequest(two, { idempotencyKey });
    const name = { kind: "request", to: two.doer.name, from: two.asker.name, runId } as const;
    const result = await admit(
      doer,
      { name, size: 1, cancels: [], listedMs: two.clock.now() },
      () => 60_000,
    );
    expect(result.status).toBe("admitted");
    two.doer.kill(doer);
  }

  /** Another process ends all runs, and publishes that, at the first call of the store from now on. */
  function endElsewhereMeanwhile(): void {
    const { receipts } = two.doer.disk.content;
    two.doer.trouble = () => {
      two.doer.trouble = () => undefined;
      for (const [key, receipt] of receipts) {
        const terminal = receipt.ended?.terminal ?? null;
        const ended = { atMs: 1, terminal, acknowledged: true };
        receipts.set(key, { ...receipt, state: "ended", ended });
      }
      return undefined;
    };
  }

  it("leaves alone what another process ends after it was listed", async () => {
    await leaveAdmitted("a");
    await leaveAdmitted("b");
    endElsewhereMeanwhile();
    const responder = new Responder(two.doer.process(), routes(sayer()));
    await responder.recover(always);
    await two.clock.until(responder.runs.settled());
    expect(responder.counts.takenOver).toBe(0);
    expect(two.doer.receipts.map(({ attempt, starts }) => [attempt, starts])).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });

  it("publishes no end that another process publishes after it was listed", async () => {
    for (const idempotencyKey of ["a", "b"]) plantRequest(two, { idempotencyKey });
    await pass(two.clock, doer);
    const { receipts } = two.doer.disk.content;
    for (const [key, receipt] of receipts) {
      const ended = receipt.ended && { ...receipt.ended, acknowledged: false };
      receipts.set(key, { ...receipt, ended });
    }
    endElsewhereMeanwhile();
    two.doer.calls.length = 0;
    await new Responder(two.doer.process(), routes(sayer())).recover(always);
    expect(two.doer.calls.filter((call) => call === "put frames")).toHaveLength(1);
  });

  it("starts what a dead worker only admitted, under the next attempt", async () => {
    await leaveAdmitted();
    await pass(two.clock, two.doer.process());
    expect(two.doer.onlyReceipt).toMatchObject({
      starts: 1,
      attempt: 2,
      outcome: { status: "succeeded" },
    });
  });

  it("does not start an agent that was removed meanwhile", async () => {
    await leaveAdmitted();
    const other = new Responder(two.doer.process(), { agents: new Map(), maxConcurrentRuns: 4 });
    await other.recover(always);
    await two.clock.until(other.runs.settled());
    expect(two.doer.onlyReceipt).toMatchObject({
      starts: 0,
      outcome: { status: "refused", error: { code: "NOT_GRANTED" } },
    });
  });
});

describe("one thing that goes wrong", () => {
  it("with a cancel stands in the way of no request", async () => {
    const record = await two.asks(two.asker.process(), "hi");
    await pass(two.clock, doer);
    const { runId, requestDigest } = record;
    const [to, from, digest16] = [two.doer.name, two.asker.name, digest16Of(requestDigest)];
    two.store.plant(objectKey({ kind: "cancel", to, from, runId, digest16 }), utf8("spent"));
    plantRequest(two, { idempotencyKey: "next" });
    two.doer.trouble = ({ operation, name }) =>
      operation === "delete" && name.endsWith(".cancel")
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    const { admitted, problems } = await pass(two.clock, two.doer.process());
    expect([admitted, problems.map(({ code }) => code)]).toEqual([1, ["STORE_DENIED"]]);
  });

  it("with the ends of one peer keeps no other peer's end from being published", async () => {
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.startsWith("asker/")
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    for (const idempotencyKey of ["a", "b", "c"]) plantRequest(two, { idempotencyKey });
    await pass(two.clock, doer);
    two.doer.calls.splice(0);
    await new Responder(two.doer.process(), routes(sayer())).recover(always);
    expect(two.doer.calls.filter((call) => call === "put frames")).toHaveLength(1);
  });
});

it("says of owner keys that cannot be looked at that all requests wait, and looks once for all of them", async () => {
  two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 100 });
  const requests = 5 * limits.admissionsAtOnce;
  for (let count = 0; count < requests; count += 1)
    plantRequest(two, { idempotencyKey: `k${count}` });
  two.doer.trouble = ({ name }) =>
    name.includes("/owner/") ? { when: "before", code: "STORE_DENIED" } : undefined;
  const responder = new Responder(doer, { ...routes(sayer()), maxConcurrentRuns: 100 });
  expect(await codeOf(two.clock, responder.scan(always))).toBe("STORE_DENIED");
  const looks = two.doer.calls.filter((call) => call.endsWith(" owner"));
  expect(looks.length).toBeLessThanOrEqual(limits.admissionsAtOnce);
  expect(responder.takeProblems()).toEqual([]);
  two.doer.trouble = () => undefined;
  await two.clock.until(responder.scan(always));
  expect(two.doer.receipts).toHaveLength(requests);
});

it("two responders of one worker leave each other's runs alone", async () => {
  plantRequest(two);
  const { handler, starts, finish } = hanger();
  const first = new Responder(doer, routes(handler));
  await two.clock.until(first.scan(always));
  const second = new Responder(doer, routes(handler));
  await two.clock.until(second.recover(always));
  await two.clock.until(second.scan(always));
  expect([starts(), second.counts.takenOver, two.doer.onlyReceipt.state]).toEqual([
    1,
    0,
    "running",
  ]);
  finish();
  await two.clock.until(first.runs.settled());
  expect(two.doer.onlyReceipt.outcome).toMatchObject({ status: "succeeded" });
});

it("hears a cancel of what runs behind more names of its sender than it lists", async () => {
  const { runId } = await two.asks(two.asker.process(), "hi");
  const responder = new Responder(doer, routes(hanger().handler));
  await two.clock.until(responder.scan(always));
  for (let count = 0; count < limits.inboxPagesPerPeer * limits.listPageKeys; count += 1)
    two.store.plant(`doer/inbox/asker/-${count}`, utf8("x"));
  await cancelRun(two.asker.process(), runId);
  await two.clock.until(responder.scan(always));
  await two.clock.advance(1000);
  expect(two.doer.onlyReceipt.outcome).toMatchObject({ error: { code: "CANCELLED" } });
});

it("settles once its runs have ended, though the store never answers what it is asked besides", async () => {
  plantRequest(two);
  const { handler, finish } = hanger();
  const silence = Promise.withResolvers<never>().promise;
  const store = aroundStore(doer.store, (call, run) =>
    call.operation === "get" && call.name.endsWith(".cancel") ? silence : run(),
  );
  const responder = new Responder({ ...doer, store }, routes(handler));
  await two.clock.until(responder.scan(always));
  const settled = responder.runs.settled();
  await two.clock.advance(5000);
  finish();
  await two.clock.until(settled);
  expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(true);
});
