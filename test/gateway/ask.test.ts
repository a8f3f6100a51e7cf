import { beforeEach, describe, expect, it } from "vitest";
import { toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentAddress } from "../../src/base/names.ts";
import { ask, deliver, resolveTarget, type Ask, type Routes } from "../../src/gateway/ask.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { decodeRequest } from "../../src/protocol/request.ts";
import { codeOf, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.asker.process();
});

const body = { kind: "prompt", prompt: { text: "hi" } } as const;
const routes: Routes = new Map([["sre", parseAgentAddress("doer/work")]]);
const asking = (more: Partial<Ask> = {}) =>
  ask(box, routes, { target: "doer/work", body, ...more });

describe("a target", () => {
  it("is an address, or a name that the routes resolve", () => {
    expect(resolveTarget("doer/work", routes)).toEqual(parseAgentAddress("doer/work"));
    expect(resolveTarget("sre", routes)).toEqual(parseAgentAddress("doer/work"));
  });

  it.each([
    ["nowhere", "TARGET_UNKNOWN"],
    ["doer/", "NAME_INVALID"],
    ["../doer/work", "NAME_INVALID"],
    ["stranger/work", "PEER_UNKNOWN"],
  ])("%j is %s, and nothing is remembered of it", async (target, code) => {
    expect(await codeOf(two.clock, asking({ target }))).toBe(code);
    expect(two.asker.outbox).toEqual([]);
  });

  it.each([
    [{ revoked: true }, "KEY_REVOKED"],
    [{ notAfter: "2020-01-01T00:00:00Z" }, "KEY_OUTSIDE_WINDOW"],
  ])("whose only key has %j could never be believed: %s", async (key, code) => {
    two.asker.trusts(two.doer, {}, key);
    expect(await codeOf(two.clock, asking())).toBe(code);
    expect(two.asker.outbox).toEqual([]);
  });
});

describe("what is asked", () => {
  it("carries exactly what was said, vouched for by this gateway", async () => {
    const { record } = await asking({
      idempotencyKey: "k1",
      agent: "planner",
      operator: "ann",
      tenant: "acme",
      deadlineMs: 1500,
      meta: { ticket: 7 },
    });
    expect(decodeRequest(record.payload)).toEqual({
      agentTarget: "work",
      idempotencyKey: "k1",
      callerIdentity: { gateway: "asker", agent: "planner", operator: "ann", tenant: "acme" },
      body,
      deadline: toSeconds(two.clock.now() + 1500 + 999),
      meta: { ticket: 7 },
    });
  });

  it("waits a day where nothing else is said", async () => {
    const { record } = await asking();
    expect((record.exp - record.iat) * 1000).toBe(limits.defaultTtlMs);
  });

  it("without a key is new work each time", async () => {
    const [one, other] = [await asking(), await asking()];
    expect(one.record.runId).not.toBe(other.record.runId);
    expect(one.idempotencyKey).not.toBe(other.idempotencyKey);
  });

  it("under one key and tenant is one run, and under another tenant another", async () => {
    const one = await asking({ idempotencyKey: "k1" });
    const again = await asking({ idempotencyKey: "k1" });
    const tenant = await asking({ idempotencyKey: "k1", tenant: "acme" });
    expect(again.record.envelope).toEqual(one.record.envelope);
    expect(tenant.record.runId).not.toBe(one.record.runId);
  });
});

it("reaches the store only when it is delivered, and is kept where that fails", async () => {
  const asked = await asking();
  expect(two.asker.calls).toEqual([]);
  two.asker.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
  expect(await codeOf(two.clock, deliver(box, asked))).toBe("STORE_UNREACHABLE");
  expect(two.asker.outbox.map(({ sentMs }) => sentMs)).toEqual([null]);
});
