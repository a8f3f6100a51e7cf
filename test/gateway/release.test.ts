import { beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { Responder } from "../../src/gateway/responder.ts";
import { serve } from "../../src/gateway/serve.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { aroundStore } from "../../src/store/around.ts";
import { aroundState } from "../support/around-state.ts";
import { plantRequest, type Planted } from "../support/forged.ts";
import {
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

/** Requests that were refused while their sender was a stranger, who is a peer now. */
async function refuse(...keys: readonly string[]): Promise<readonly Planted[]> {
  two.doer.peers = {};
  const planted = keys.map((idempotencyKey) => plantRequest(two, { idempotencyKey }));
  await pass(two.clock, doer);
  expect(two.doer.quarantined).toHaveLength(keys.length);
  two.doer.trusts(two.asker);
  return planted;
}

async function release(): Promise<void> {
  for (const { id } of await doer.state.quarantined({ limit: 100 }))
    expect(await doer.state.releaseQuarantined(id)).toBe("released");
}

const starts = () => two.doer.receipts.map((receipt) => receipt.starts);
const always = (): boolean => true;

describe("a pass", () => {
  it("runs what was released, and answers it", async () => {
    await refuse("a");
    expect((await pass(two.clock, doer)).admitted).toBe(0);
    await release();
    expect(await pass(two.clock, doer)).toMatchObject({ admitted: 1, quarantined: 0 });
    expect([starts(), two.doer.quarantined]).toEqual([[1], []]);
    expect(await two.keys("asker/frames/")).toHaveLength(1);
  });

  it("runs it once when its sender's copy of it waits as well", async () => {
    const planted = await refuse("a", "b");
    await release();
    for (const { key, bytes } of planted) two.store.plant(key, bytes);
    const { handler, starts: started, finish } = hanger();
    const responder = new Responder(doer, routes(handler));
    await two.clock.until(responder.scan(always));
    expect([started(), responder.counts.admitted, responder.counts.takenOver]).toEqual([2, 2, 0]);
    responder.runs.stop();
    finish();
    await two.clock.until(responder.runs.settled());
    await pass(two.clock, doer);
    expect([starts(), two.doer.quarantined]).toEqual([[1, 1], []]);
    expect(await two.keys("doer/inbox/")).toEqual([]);
  });

  it("looks at one copy after the other: none is taken over from the look that admits it", async () => {
    const [planted] = await refuse("a");
    await release();
    if (planted !== undefined) two.store.plant(planted.key, planted.bytes);
    // The released one is admitted, and not yet out of quarantine, when the other has been read.
    const slow = aroundState(doer, async (name, step) => {
      if (name === "discardQuarantined") await two.clock.sleep(10_000);
      return step();
    });
    const store = aroundStore(doer.store, async ({ name }, run) => {
      if (name === planted?.key) await two.clock.sleep(1000);
      return run();
    });
    expect(await pass(two.clock, { ...slow, store })).toMatchObject({ admitted: 1, takenOver: 0 });
    expect(two.doer.onlyReceipt).toMatchObject({ attempt: 1, starts: 1 });
  });

  it("runs it once beside another process that takes it up at the same moment", async () => {
    await refuse("a", "b", "c");
    await release();
    const both = [doer, two.doer.process()].map((box) => pass(two.clock, box));
    const [one, other] = await Promise.all(both);
    expect((one?.admitted ?? 0) + (other?.admitted ?? 0)).toBe(3);
    expect([starts(), two.doer.quarantined]).toEqual([[1, 1, 1], []]);
  });

  it("counts what is refused anew as quarantined, and does not look at it again", async () => {
    await refuse("a");
    two.doer.peers = {};
    await release();
    expect(await pass(two.clock, doer)).toMatchObject({ admitted: 0, quarantined: 1 });
    expect(await pass(two.clock, doer)).toMatchObject({ admitted: 0, quarantined: 0 });
  });

  it("pays one read of the state where nothing is released, and no request to the store", async () => {
    await refuse("a");
    const steps: string[] = [];
    const observed = aroundState(doer, (name, step) => {
      steps.push(name);
      return step();
    });
    two.doer.calls.length = 0;
    await pass(two.clock, observed);
    expect(two.doer.calls).toEqual(["list inbox"]);
    expect(steps.filter((step) => /quarantine/i.test(step))).toEqual(["releasedQuarantine"]);
  });
});

describe("what holds for any request holds for a released one:", () => {
  it("the room for runs, and the sender's", async () => {
    await refuse("a", "b");
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    await release();
    const responder = new Responder(doer, routes(hanger().handler));
    await two.clock.until(responder.scan(always));
    expect([responder.runs.size, responder.counts.waiting]).toEqual([1, 1]);
    expect(two.doer.quarantined).toHaveLength(1);
    responder.runs.stop();
    await two.clock.until(responder.runs.settled());
    await pass(two.clock, doer);
    expect([starts(), two.doer.quarantined]).toEqual([[1, 1], []]);
  });

  it("the rate", async () => {
    await refuse("a", "b");
    two.doer.trusts(two.asker, { ...plainGrants, maxRequestsPerMinute: 1 });
    await release();
    expect(await pass(two.clock, doer)).toMatchObject({ admitted: 1 });
    expect(two.doer.quarantined).toHaveLength(1);
    two.clock.jump(limits.rateWindowMs + 1);
    expect(await pass(two.clock, doer)).toMatchObject({ admitted: 1 });
  });

  it("how many a pass may start, and that it may start any", async () => {
    await refuse("a", "b", "c");
    await release();
    expect(await pass(two.clock, doer, sayer(), { maxRuns: 2 })).toMatchObject({ admitted: 2 });
    expect(await pass(two.clock, doer, sayer(), { maxTimeMs: 0 })).toMatchObject({ admitted: 0 });
    expect([starts(), two.doer.quarantined.length]).toEqual([[1, 1], 1]);
  });

  it("the turn of its sender, before whose other requests it comes", async () => {
    await refuse("a", "b", "c");
    await release();
    plantRequest(two, { idempotencyKey: "d" });
    const { runId } = plantRequest(two, { idempotencyKey: "e" });
    const names: string[] = [];
    await pass(two.clock, doer, {
      run: async (work) => {
        names.push(work.runId);
        return {};
      },
    });
    expect(names).toHaveLength(5);
    expect(names.slice(3)).toContain(runId);
  });
});

it("a service takes up what is released while it serves", async () => {
  await refuse("a");
  const stop = new AbortController();
  const service = serve(two.doer.process(), {
    ...routes(sayer()),
    minDelayMs: limits.serveMinDelayMs,
    maxDelayMs: limits.serveMaxDelayMs,
    graceMs: 0,
    signal: stop.signal,
  });
  await two.clock.advance(60_000);
  expect(starts()).toEqual([]);
  await release();
  await two.clock.advance(limits.serveMaxDelayMs + 1000);
  expect([starts(), two.doer.quarantined]).toEqual([[1], []]);
  stop.abort();
  expect(await two.clock.until(service)).toMatchObject({ admitted: 1 });
});
