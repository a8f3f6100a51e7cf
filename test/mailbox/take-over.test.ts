import { beforeEach, describe, expect, it } from "vitest";
import { toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { takeOver, type OnCrash, type TakeOverOptions } from "../../src/mailbox/take-over.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { receiptWith, workerOf } from "../support/receipts.ts";
import { twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
let dead: Mailbox;
let alive: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.doer.process();
  alive = two.doer.process();
  dead = two.doer.process();
  two.doer.kill(dead);
});

const succeeded = { status: "succeeded" } as const;
const running = { state: "running", starts: 1 } as const;

/** A receipt of the dead worker's, as it was left one second ago. */
async function left(fields: Partial<Receipt> = {}): Promise<Receipt> {
  const receivedMs = two.clock.now();
  const iat = toSeconds(receivedMs);
  const since = fields.state === "running" ? { runningSinceMs: receivedMs } : {};
  const times = { iat, exp: iat + 600, receivedMs, ...since };
  const receipt = receiptWith({ worker: dead.liveness.self, ...times, ...fields });
  await box.state.stepRun(receipt, () => ({ answer: undefined, write: receipt }));
  two.clock.jump(1000);
  return receipt;
}

const take = (receipt: Receipt, onCrash: OnCrash = "report") =>
  takeOver(box, receipt, { isOurs: () => false, onCrash: () => onCrash });

async function told(receipt: Receipt, onCrash: OnCrash = "report"): Promise<string> {
  const taken = await take(receipt, onCrash);
  if (taken.status !== "ended") return taken.status;
  const { payload, attempt } = taken.receipt.ended?.terminal ?? {};
  return `${payload?.status} ${payload?.error?.code ?? ""} under ${attempt}`;
}

describe("what a dead worker left", () => {
  it.each<[string, Partial<Receipt>, OnCrash, string]>([
    ["an outcome is published", { ...running, outcome: succeeded }, "report", "succeeded  under 2"],
    [
      "an outcome is not run again",
      { ...running, outcome: succeeded },
      "retry",
      "succeeded  under 2",
    ],
    ["an admitted run may still start", {}, "report", "admitted"],
    ["a running one is not run again", running, "report", "interrupted INTERRUPTED under 2"],
    ["a running one is run again where its agent says so", running, "retry", "admitted"],
    [
      "three starts are the most",
      { ...running, starts: limits.maxStarts, attempt: 3 },
      "retry",
      "interrupted INTERRUPTED under 4",
    ],
    [
      "a running one is not run again past its deadline",
      { ...running, deadline: 1 },
      "retry",
      "interrupted INTERRUPTED under 2",
    ],
  ])("%s", async (_what, fields, onCrash, expected) => {
    expect(await told(await left(fields), onCrash)).toBe(expected);
  });

  it("is taken in one transaction: worker, nonce and attempt are new", async () => {
    const receipt = await left();
    await take(receipt);
    const taken = two.doer.onlyReceipt;
    expect(taken).toMatchObject({ worker: box.liveness.self, attempt: 2, state: "admitted" });
    expect(taken.nonce).not.toBe(receipt.nonce);
  });
});

describe("a cancel", () => {
  async function cancelled(fields: Partial<Receipt>): Promise<Receipt> {
    const asker = two.asker.process();
    const { runId, requestDigest } = await two.asks(asker, "hi");
    await cancelRun(asker, runId);
    return left({ runId, requestDigest, ...fields });
  }

  it.each<[string, Partial<Receipt>, string]>([
    ["ends an admitted run", {}, "cancelled CANCELLED under 2"],
    ["keeps a running one from another start", running, "interrupted INTERRUPTED under 2"],
    [
      "does not claim that an earlier start never was",
      { starts: 1, attempt: 2 },
      "interrupted INTERRUPTED under 3",
    ],
    ["comes too late for an outcome", { ...running, outcome: succeeded }, "succeeded  under 2"],
  ])("%s", async (_what, fields, expected) => {
    expect(await told(await cancelled(fields), "retry")).toBe(expected);
  });
});

it("a cancel that the store is slow to give out keeps no run from being taken over", async () => {
  const receipt = await left(running);
  two.doer.trouble = ({ operation, name }) => {
    if (operation === "get" && name.endsWith(".cancel")) two.clock.jump(limits.ownerLookMs);
    return undefined;
  };
  expect(await told(receipt)).toBe("interrupted INTERRUPTED under 2");
});

describe("a run is left alone", () => {
  it("while its worker lives", async () => {
    expect(await told(await left({ ...running, worker: alive.liveness.self }))).toBe("left");
  });

  it("while nobody can tell whether its worker lives", async () => {
    expect(await told(await left({ ...running, worker: workerOf("q") }))).toBe("left");
  });

  it("when this process is at work on it", async () => {
    const receipt = await left({ worker: box.liveness.self });
    const options: TakeOverOptions = { isOurs: () => true, onCrash: () => "report" };
    expect((await takeOver(box, receipt, options)).status).toBe("left");
  });

  it("when it has changed since it was seen", async () => {
    const seen = await left();
    await take(seen);
    expect(await told(seen)).toBe("left");
  });
});

it("is taken from oneself when this process does not know of it", async () => {
  expect(await told(await left({ ...running, worker: box.liveness.self }))).toBe(
    "interrupted INTERRUPTED under 2",
  );
});

describe("a live worker that takes far too long", () => {
  it("keeps its run until the longest time and a grace have passed, and then loses it", async () => {
    const receipt = await left({ ...running, worker: alive.liveness.self, maxRunMs: 60_000 });
    two.clock.jump(60_000 + limits.maxRunGraceMs - 1000);
    expect(await told(receipt, "retry")).toBe("left");
    two.clock.jump(1);
    expect(await told(receipt, "retry")).toBe("cancelled DEADLINE under 2");
  });

  it("has its outcome published, if it came to one", async () => {
    const worker = alive.liveness.self;
    const receipt = await left({ ...running, worker, maxRunMs: 1, outcome: succeeded });
    two.clock.jump(limits.maxRunGraceMs);
    expect(await told(receipt)).toBe("succeeded  under 2");
  });
});

describe("after the state was recovered", () => {
  it.each<[string, Partial<Receipt>]>([
    ["an admitted run", {}],
    ["a running one, whatever its agent says", running],
    ["one whose worker nobody knows any more", { ...running, worker: workerOf("q") }],
    ["an admitted one whose worker nobody knows any more", { worker: workerOf("q") }],
  ])("%s ends STATE_LOST", async (_what, fields) => {
    const receipt = await left(fields);
    await box.state.recover();
    expect(await told(receipt, "retry")).toBe("interrupted STATE_LOST under 2");
  });

  it("an outcome that was committed before is published", async () => {
    const receipt = await left({ ...running, outcome: succeeded });
    await box.state.recover();
    expect(await told(receipt)).toBe("succeeded  under 2");
  });

  it("what was admitted since is left to its worker", async () => {
    await box.state.recover();
    two.clock.jump(1000);
    expect(await told(await left({ worker: workerOf("q") }))).toBe("left");
  });
});
