import { beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { serve, type ServeReport } from "../../src/gateway/serve.ts";
import type { AgentRoute } from "../../src/gateway/starter.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { plantRequest } from "../support/forged.ts";
import {
  codeOf,
  hanger,
  plainGrants,
  readAll,
  routes,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

const pace = { minDelayMs: limits.serveMinDelayMs, maxDelayMs: limits.serveMaxDelayMs };
const minuteMs = 60_000;

let two: TwoGateways;
let asker: Mailbox;
let doer: Mailbox;
let stop: AbortController;
let haste: AbortController;
beforeEach(() => {
  two = twoGateways();
  asker = two.asker.process();
  doer = two.doer.process();
  stop = new AbortController();
  haste = new AbortController();
});

function optionsOf(handler: Handler, more: Partial<AgentRoute> = {}) {
  const { signal } = stop;
  const { serveGraceMs: graceMs } = limits;
  return { ...routes(handler, more), ...pace, graceMs, signal, haste: haste.signal };
}

function serving(box: Mailbox, handler: Handler): Promise<ServeReport> {
  return serve(box, optionsOf(handler));
}

async function stopped(service: Promise<ServeReport>): Promise<ServeReport> {
  stop.abort();
  return two.clock.until(service);
}

async function endOf(record: OutboxRecord): Promise<unknown> {
  const { followed } = await readAll(two.clock, asker, record);
  return followed.status === "closed" ? followed.terminal : followed.status;
}

const count = (calls: readonly string[], wanted: string): number =>
  calls.filter((call) => call === wanted).length;

describe("a service", () => {
  it("answers what comes in, as it comes", async () => {
    const service = serving(doer, sayer("a"));
    for (const idempotencyKey of ["k1", "k2", "k3"]) {
      await two.clock.advance(minuteMs);
      const record = await two.asks(asker, "hi", { idempotencyKey });
      await two.clock.advance(limits.serveMaxDelayMs);
      expect(await endOf(record)).toMatchObject({ status: "succeeded" });
    }
    expect(await stopped(service)).toMatchObject({ admitted: 3, waiting: 0, quarantined: 0 });
  });

  it("closes what was asked from its home, and sends it again until it is answered", async () => {
    two.asker.trouble = ({ operation }) =>
      operation === "put" ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
    await two.asks(asker, "hi").catch(() => undefined);
    two.asker.trouble = () => undefined;
    const asking = serving(asker, sayer());
    const answering = serving(doer, sayer());
    await two.clock.advance(2 * minuteMs);
    expect(two.asker.outbox.map(({ state }) => state)).toEqual(["closed"]);
    expect((await stopped(asking)).closed).toBe(1);
    await answering;
  });

  it("looks ever more seldom while nothing comes, within its bounds", async () => {
    const service = serving(doer, sayer());
    await two.clock.advance(10_000);
    expect(count(two.doer.calls, "list inbox")).toBeGreaterThanOrEqual(4);
    await two.clock.advance(10 * minuteMs);
    two.doer.calls.splice(0);
    await two.clock.advance(60 * minuteMs);
    const looks = count(two.doer.calls, "list inbox");
    expect(looks).toBeGreaterThanOrEqual((60 * minuteMs) / pace.maxDelayMs);
    expect(looks).toBeLessThanOrEqual((60 * minuteMs) / pace.maxDelayMs / 0.75 + 1);
    // Nothing else is paid for but the hourly claim of the owner, and left-over frames now and then.
    const others = two.doer.calls.filter((call) => call !== "list inbox" && call !== "list frames");
    expect(others.length).toBeLessThanOrEqual(4);
    await stopped(service);
  });

  it("asks the store for the answer to a run ever more seldom, too", async () => {
    await two.asks(asker, "hi", { ttlMs: 24 * 60 * minuteMs });
    const service = serving(asker, sayer());
    await two.clock.advance(10 * minuteMs);
    two.asker.calls.splice(0);
    await two.clock.advance(10 * minuteMs);
    expect(count(two.asker.calls, "get frames")).toBeLessThanOrEqual(54);
    expect(count(two.asker.calls, "get frames")).toBeGreaterThanOrEqual(40);
    await stopped(service);
  });

  it("hears a cancel of what runs within a few seconds", async () => {
    const { handler } = hanger();
    const service = serving(doer, handler);
    const record = await two.asks(asker, "hi");
    await two.clock.advance(5 * minuteMs);
    await cancelRun(asker, record.runId);
    await two.clock.advance(2 * limits.runDelayMs);
    expect(two.doer.onlyReceipt.outcome).toMatchObject({ error: { code: "CANCELLED" } });
    await stopped(service);
  });

  it("hears it as soon once a look has failed", async () => {
    const hanging = hanger();
    const service = serving(doer, hanging.handler);
    const record = await two.asks(asker, "hi");
    await two.clock.advance(limits.serveMaxDelayMs);
    expect(hanging.starts()).toBe(1);
    two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    await two.clock.advance(limits.runDelayMs);
    two.doer.trouble = () => undefined;
    await cancelRun(asker, record.runId);
    const cancelledMs = two.clock.now();
    expect(await endOf(record)).toMatchObject({ status: "cancelled" });
    expect(two.clock.now() - cancelledMs).toBeLessThanOrEqual(2 * limits.runDelayMs);
    await stopped(service);
  });

  it("does not let a peer at its bound keep others waiting", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    const { handler } = hanger();
    for (const idempotencyKey of ["a", "b", "c"]) plantRequest(two, { idempotencyKey });
    const service = serving(doer, handler);
    await two.clock.advance(minuteMs);
    expect(two.doer.receipts).toHaveLength(1);
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 2 });
    await two.clock.advance(2 * limits.runDelayMs);
    expect(two.doer.receipts).toHaveLength(2);
    await stopped(service);
  });

  it("takes up what a dead worker left as soon as there is room, whenever in a look that comes", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 99 });
    const most = 24;
    for (let number = 0; number < most; number += 1)
      await two.asks(asker, "hi", { idempotencyKey: `k${number}` });
    const dying = serve(doer, { ...optionsOf(hanger().handler), maxConcurrentRuns: most });
    void dying.catch(() => undefined);
    await two.clock.advance(minuteMs);
    two.doer.kill(doer);
    const { handler, starts, finish } = hanger();
    const options = { ...optionsOf(handler, { onCrash: "retry" }), maxConcurrentRuns: 1 };
    const service = serve(two.doer.process(), options);
    for (let number = 1; number < most; number += 1) {
      await two.clock.advance(limits.runDelayMs + number * 250);
      finish();
      await two.clock.advance(250);
      expect(starts()).toBe(number + 1);
    }
    await stopped(service);
  });

  it("and another one on the same home run each request once", async () => {
    const { handler, starts } = hanger();
    const services = [serving(doer, handler), serving(two.doer.process(), handler)];
    const records = [];
    for (let number = 0; number < 6; number += 1) {
      records.push(await two.asks(asker, "hi", { idempotencyKey: `k${number}` }));
    }
    await two.clock.advance(minuteMs);
    expect(starts()).toBe(limits.defaultMaxPeerRuns);
    await stopped(Promise.race(services));
    await two.clock.until(Promise.all(services));
  });
});

describe("what passes", () => {
  it("as a store that is away does, is waited for", async () => {
    const service = serving(doer, sayer());
    two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    await two.clock.advance(10 * minuteMs);
    two.doer.trouble = () => undefined;
    const record = await two.asks(asker, "hi");
    await two.clock.advance(limits.serveMaxDelayMs);
    expect(await endOf(record)).toMatchObject({ status: "succeeded" });
    await stopped(service);
  });

  it("as an expired trust document does when it is renewed, keeps requests waiting", async () => {
    two.doer.trustExpires = "2020-01-01T00:00:00Z";
    const service = serving(doer, sayer());
    const record = await two.asks(asker, "hi");
    await two.clock.advance(10 * minuteMs);
    expect(two.doer.receipts).toEqual([]);
    two.doer.trustExpires = "2099-01-01T00:00:00Z";
    await two.clock.advance(limits.serveMaxDelayMs);
    expect(await endOf(record)).toMatchObject({ status: "succeeded" });
    await stopped(service);
  });
});

describe("what does not pass", () => {
  it("ends the service: STATE_ELSEWHERE", async () => {
    const service = serving(doer, sayer());
    await two.clock.advance(minuteMs);
    await claimedElsewhere(doer.state, two.clock.now());
    expect(await codeOf(two.clock, service)).toBe("STATE_ELSEWHERE");
  });
});

describe("a service that is told to stop", () => {
  it("takes nothing new, and lets what runs come to its end within the grace", async () => {
    const { handler, finish } = hanger();
    const service = serving(doer, handler);
    const record = await two.asks(asker, "hi");
    await two.clock.advance(minuteMs);
    stop.abort();
    await two.asks(asker, "too late", { idempotencyKey: "k2" });
    await two.clock.advance(limits.serveGraceMs - 1000);
    finish();
    await two.clock.until(service);
    expect(await endOf(record)).toMatchObject({ status: "succeeded", result: "finished" });
    expect(two.doer.receipts).toHaveLength(1);
  });

  it("ends what runs longer `interrupted`", async () => {
    const { handler } = hanger();
    const service = serving(doer, handler);
    const record = await two.asks(asker, "hi");
    await two.clock.advance(minuteMs);
    stop.abort();
    await two.clock.advance(limits.serveGraceMs - 1000);
    expect(two.doer.onlyReceipt.state).toBe("running");
    await two.clock.until(service);
    expect(await endOf(record)).toMatchObject({
      status: "interrupted",
      error: { code: "INTERRUPTED" },
    });
  });

  it("in haste waits for no grace", async () => {
    const { handler } = hanger();
    const service = serving(doer, handler);
    await two.asks(asker, "hi");
    await two.clock.advance(minuteMs);
    const begunMs = two.clock.now();
    stop.abort();
    haste.abort();
    await two.clock.until(service);
    expect(two.clock.now() - begunMs).toBeLessThan(limits.serveGraceMs / 2);
    expect(two.doer.onlyReceipt.outcome).toMatchObject({ status: "interrupted" });
  });

  it("ends also while the store is away; the next one publishes what became of the run", async () => {
    const { handler } = hanger();
    const service = serving(doer, handler);
    const record = await two.asks(asker, "hi");
    await two.clock.advance(minuteMs);
    two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    await stopped(service);
    two.doer.trouble = () => undefined;
    two.doer.kill(doer);
    stop = new AbortController();
    const next = serving(two.doer.process(), handler);
    await two.clock.advance(minuteMs);
    expect(await endOf(record)).toMatchObject({ status: "interrupted" });
    await stopped(next);
  });
});
