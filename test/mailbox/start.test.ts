import { beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { leaseOf } from "../../src/mailbox/lease.ts";
import type { Denial } from "../../src/mailbox/grants.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { commitStart, type LastLook } from "../../src/mailbox/start.ts";
import { toSeconds } from "../../src/base/clock.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { digestOf, receiptWith } from "../support/receipts.ts";
import { codeOf, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.doer.process();
});

/** A receipt of this worker's, admitted now, living for ten minutes. */
async function admitted(fields: Partial<Receipt> = {}): Promise<Receipt> {
  const iat = toSeconds(two.clock.now());
  const times = { iat, exp: iat + 600, receivedMs: two.clock.now() };
  const receipt = receiptWith({ worker: box.liveness.self, ...times, ...fields });
  await box.state.stepRun(receipt, () => ({ answer: undefined, write: receipt }));
  return receipt;
}

const denied: Denial = { code: "NOT_GRANTED", message: "no" };
const start = (receipt: Receipt, look: Partial<LastLook> = {}) =>
  commitStart(box, leaseOf(receipt), { cancelled: () => false, denial: () => undefined, ...look });

/** How the run ended instead of starting. */
async function endOf(receipt: Receipt, look: Partial<LastLook> = {}): Promise<string> {
  const { status } = await start(receipt, look);
  const { ended } = two.doer.onlyReceipt;
  const said = ended?.terminal?.payload;
  return `${status} ${said?.status} ${said?.error?.code}`;
}

it("commits `running` with the start counted and the time, before anything runs", async () => {
  expect((await start(await admitted())).status).toBe("running");
  expect(two.doer.onlyReceipt).toMatchObject({
    state: "running",
    starts: 1,
    runningSinceMs: two.clock.now(),
  });
});

describe("what has changed since admission ends the run instead", () => {
  it.each<[string, string, Partial<LastLook>]>([
    ["a cancel", "ended cancelled CANCELLED", { cancelled: () => true }],
    ["a grant that was withdrawn", "ended refused NOT_GRANTED", { denial: () => denied }],
  ])("%s", async (_what, expected, look) => {
    expect(await endOf(await admitted(), look)).toBe(expected);
  });

  it("a deadline that has passed", async () => {
    const receipt = await admitted({ deadline: toSeconds(two.clock.now()) + 5 });
    two.clock.jump(5000);
    expect(await endOf(receipt)).toBe("ended cancelled DEADLINE");
  });

  it("a pause of a moment less than two skews past expiry does not, by itself", async () => {
    const receipt = await admitted();
    two.clock.jump(600_000 + 2 * limits.skewMs - 1);
    const view = { cancelled: () => false, denial: () => denied };
    expect((await commitStart(box, leaseOf(receipt), view)).status).toBe("ended");
    expect(two.doer.onlyReceipt.ended?.terminal?.payload.error?.code).toBe("NOT_GRANTED");
  });

  it("a pause past expiry and two skews: it never ran, and says so", async () => {
    const receipt = await admitted();
    two.clock.jump(600_000 + 2 * limits.skewMs);
    expect(await endOf(receipt)).toBe("ended expired EXPIRED");
  });

  it("a recovery of the state: what has become of it since is not known", async () => {
    const receipt = await admitted();
    await two.doer.process().state.recover();
    two.clock.jump(1);
    expect(await endOf(receipt)).toBe("ended interrupted STATE_LOST");
  });

  it("after an earlier start says only that it broke off: the outcome is not known", async () => {
    const receipt = await admitted({ starts: 1, attempt: 2 });
    expect(await endOf(receipt, { cancelled: () => true })).toBe("ended interrupted INTERRUPTED");
    expect(two.doer.onlyReceipt.ended?.terminal?.attempt).toBe(2);
  });
});

describe("nothing is started", () => {
  it.each<[string, Partial<Receipt>]>([
    ["that another nonce holds", { nonce: "t".repeat(26) }],
    ["that a higher attempt holds", { attempt: 2 }],
    ["that runs already", { state: "running", starts: 1, runningSinceMs: 1 }],
  ])("%s", async (_what, change) => {
    const receipt = await admitted();
    const taken = { ...receipt, ...change };
    await box.state.stepRun(receipt, () => ({ answer: undefined, write: taken }));
    expect((await start(receipt)).status).toBe("taken");
    expect(two.doer.onlyReceipt).toEqual(taken);
  });

  it("that is not there", async () => {
    const receipt = await admitted();
    const other = { ...receipt, requestDigest: digestOf("z") };
    expect((await start(other)).status).toBe("taken");
  });

  it("under a clock that is behind", async () => {
    const receipt = await admitted();
    two.clock.jump(-2 * limits.clockStepMs);
    expect(await codeOf(two.clock, start(receipt))).toBe("CLOCK_BEHIND");
    expect(two.doer.onlyReceipt.state).toBe("admitted");
  });

  it("by a state that no longer serves the name", async () => {
    const receipt = await admitted();
    await claimedElsewhere(box.state, two.clock.now());
    expect(await codeOf(two.clock, start(receipt))).toBe("STATE_ELSEWHERE");
    expect(two.doer.onlyReceipt.state).toBe("admitted");
  });
});
