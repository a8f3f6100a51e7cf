import { beforeEach, describe, expect, it } from "vitest";
import { parseAgentName } from "../../src/base/names.ts";
import { Responder } from "../../src/gateway/responder.ts";
import { admit } from "../../src/mailbox/admit.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { plantRequest } from "../support/forged.ts";
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

const always = (): boolean => true;
const never = (): boolean => false;

describe("a scan", () => {
  it("counts what it met", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    plantRequest(two, { idempotencyKey: "a", more: { agentTarget: parseAgentName("secret") } });
    plantRequest(two, { idempotencyKey: "b", signedFor: "elsewhere" });
    plantRequest(two, { idempotencyKey: "c" });
    plantRequest(two, { idempotencyKey: "d" });
    const responder = new Responder(doer, routes(hanger().handler));
    await responder.scan(always);
    expect(responder.counts).toEqual({
      admitted: 1,
      takenOver: 0,
      answered: 1,
      quarantined: 1,
      waiting: 1,
    });
    expect(responder.active).toBe(1);
    responder.stop();
    await two.clock.until(responder.settled());
    expect(responder.active).toBe(0);
  });

  it("admits nothing once it may not start anything", async () => {
    plantRequest(two);
    const responder = new Responder(doer, routes(sayer()));
    await responder.scan(never);
    expect([responder.counts.admitted, two.doer.receipts]).toEqual([0, []]);
  });

  it("reads no more of a sender that has reached a quota", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    for (const idempotencyKey of ["a", "b", "c", "d", "e"]) plantRequest(two, { idempotencyKey });
    const responder = new Responder(doer, routes(hanger().handler));
    await responder.scan(always);
    expect(two.doer.calls.filter((call) => call === "get request")).toHaveLength(2);
    responder.stop();
    await two.clock.until(responder.settled());
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

  /** One request that a worker admitted and died before it started it. */
  async function leaveAdmitted(): Promise<void> {
    const { runId } = plantRequest(two);
    const name = { kind: "request", to: two.doer.name, from: two.asker.name, runId } as const;
    const result = await admit(
      doer,
      { name, size: 1, cancels: [], listedMs: two.clock.now() },
      () => 60_000,
    );
    expect(result.status).toBe("admitted");
    two.doer.kill(doer);
  }

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
    await two.clock.until(other.settled());
    expect(two.doer.onlyReceipt).toMatchObject({
      starts: 0,
      outcome: { status: "refused", error: { code: "NOT_GRANTED" } },
    });
  });
});
