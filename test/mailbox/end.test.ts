import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { leaseOf } from "../../src/mailbox/lease.ts";
import { ensureOwner } from "../../src/mailbox/owner.ts";
import { admit } from "../../src/mailbox/admit.ts";
import { commitEnd, commitOutcome, publishEnding } from "../../src/mailbox/end.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { signBareTerminal } from "../../src/mailbox/terminal.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { decodeFrames } from "../../src/protocol/frame.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { framesKeyOf, plantRequest, type Planted } from "../support/forged.ts";
import { bytesAt, codeOf, realm, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

const succeeded = { status: "succeeded", result: 42 } as const;
const failed = { status: "failed", error: { code: "HANDLER_FAILED", message: "no" } } as const;

let two: TwoGateways;
let box: Mailbox;
let planted: Planted;
let receipt: Receipt;
beforeEach(async () => {
  two = twoGateways();
  box = two.doer.process();
  planted = plantRequest(two);
  const name = { kind: "request", to: two.doer.name, from: two.asker.name } as const;
  const waiting = {
    name: { ...name, runId: planted.runId },
    size: 1,
    cancels: [],
    listedMs: two.clock.now(),
  };
  const result = await admit(box, waiting, () => 60_000);
  if (result.status !== "admitted") throw new Error(result.status);
  receipt = result.receipt;
  two.doer.calls.splice(0);
});

async function ended(by: Mailbox = box): Promise<Receipt> {
  await ensureOwner(by);
  const terminal = signBareTerminal(by, receipt, receipt.attempt, succeeded);
  const committed = await commitEnd(by, leaseOf(receipt), terminal);
  if (committed === undefined) throw new Error("the run was taken");
  return committed;
}

/** What the terminal at an attempt says, if it verifies under `by`'s key. */
async function saidAt(attempt: number, by: Mailbox = box): Promise<unknown> {
  const key = framesKeyOf(two.asker, two.doer, planted, attempt);
  const bytes = await bytesAt(two.store, key);
  if (bytes === undefined) return undefined;
  const payload = parseEnvelope("frames", bytes).verify(by.signingKey.publicKey, { realm, key });
  return decodeFrames(payload).frames.at(-1)?.payload;
}

const stands = async (): Promise<boolean> => (await bytesAt(two.store, planted.key)) !== undefined;
const fails = (operation: string) => {
  two.doer.trouble = (call) =>
    call.operation === operation ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
};

describe("an ending that somebody has read long ago", () => {
  it.each(["its key", "other bytes"])(
    "is published once more after its receipt was collected (%s)",
    async (at) => {
      const seen = await ended();
      const other = two.doer.process();
      await publishEnding(other, seen);
      await two.clock.advance(limits.retentionMs + limits.maxTtlMs);
      const { skewMs, retentionMs } = limits;
      await other.state.collect({ limit: 10, skewMs, retentionMs });
      expect(two.doer.receipts).toEqual([]);
      if (at === "other bytes") {
        const key = framesKeyOf(two.asker, two.doer, planted, 1);
        await two.store.delete(key);
        await two.store.put(key, utf8("junk"));
      }
      await expect(publishEnding(box, seen)).resolves.toBeUndefined();
      expect(two.doer.receipts).toEqual([]);
    },
  );
});

describe("the order of an ending", () => {
  it("is: committed, put, deleted, acknowledged", async () => {
    const committed = await ended();
    expect(two.doer.calls).toEqual([]);
    expect(two.doer.onlyReceipt.state).toBe("ended");
    await publishEnding(box, committed);
    expect(two.doer.calls).toEqual(["put frames", "delete request"]);
    expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(true);
    expect(await saidAt(1)).toEqual(succeeded);
    expect(await stands()).toBe(false);
  });

  it("keeps the request while the terminal is not put", async () => {
    fails("put");
    expect(await codeOf(two.clock, publishEnding(box, await ended()))).toBe("STORE_UNREACHABLE");
    expect([await stands(), two.doer.onlyReceipt.ended?.acknowledged]).toEqual([true, false]);
  });

  it("is not acknowledged while the request is not deleted, and may be repeated", async () => {
    const committed = await ended();
    fails("delete");
    expect(await codeOf(two.clock, publishEnding(box, committed))).toBe("STORE_UNREACHABLE");
    expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(false);
    two.doer.trouble = () => undefined;
    await publishEnding(two.doer.process(), two.doer.onlyReceipt);
    expect([await stands(), two.doer.onlyReceipt.ended?.acknowledged]).toEqual([false, true]);
    expect(await saidAt(2)).toBeUndefined();
  });
});

describe("a run that somebody else has taken", () => {
  beforeEach(async () => {
    await box.state.stepRun(receipt, () => ({
      answer: undefined,
      write: { ...receipt, nonce: "t".repeat(26), attempt: 2 },
    }));
  });

  it("is not ended, and nothing is published", async () => {
    const terminal = signBareTerminal(box, receipt, 1, succeeded);
    expect(await commitEnd(box, leaseOf(receipt), terminal)).toBeUndefined();
    expect(two.doer.onlyReceipt.state).toBe("admitted");
    expect(two.doer.calls).toEqual([]);
  });

  it("takes no outcome from who had it", async () => {
    expect(await commitOutcome(box, leaseOf(receipt), succeeded)).toBe(false);
    expect(two.doer.onlyReceipt.outcome).toBeNull();
  });
});

it("commits the first outcome for good", async () => {
  expect(await commitOutcome(box, leaseOf(receipt), succeeded)).toBe(true);
  expect(await commitOutcome(box, leaseOf(receipt), failed)).toBe(true);
  expect(two.doer.onlyReceipt.outcome).toEqual(succeeded);
});

describe("other bytes at the terminal's key", () => {
  it("do not change the outcome: it is signed again for the next attempt", async () => {
    two.store.plant(framesKeyOf(two.asker, two.doer, planted, 1), utf8("not ours"));
    two.store.plant(framesKeyOf(two.asker, two.doer, planted, 2), utf8("not ours either"));
    await publishEnding(box, await ended());
    expect(await saidAt(3)).toEqual(succeeded);
    expect(two.doer.onlyReceipt.ended).toMatchObject({
      acknowledged: true,
      terminal: { attempt: 3 },
    });
  });

  it("are met when the receipt is published again, long after", async () => {
    await publishEnding(box, await ended());
    two.store.plant(framesKeyOf(two.asker, two.doer, planted, 1), utf8("swapped"));
    await publishEnding(box, two.doer.onlyReceipt);
    expect(await saidAt(2)).toEqual(succeeded);
  });

  it("are gone around in bounded steps, however many of them there are", async () => {
    const taken = 2 * limits.reissuesPerPublish;
    for (let attempt = 1; attempt <= taken; attempt += 1)
      two.store.plant(framesKeyOf(two.asker, two.doer, planted, attempt), utf8("not ours"));
    const publishing = publishEnding(box, await ended());
    expect(await codeOf(two.clock, publishing)).toBe("FRAME_CHAIN_BROKEN");
    expect(two.doer.calls.filter((call) => call === "put frames").length).toBeLessThan(taken);
    expect(await stands()).toBe(true);
    await publishEnding(box, two.doer.onlyReceipt);
    expect(await saidAt(taken + 1)).toEqual(succeeded);
    expect(await stands()).toBe(false);
  });

  it("are gone around also where the store took longer than a look at the owner keys is good for", async () => {
    two.store.plant(framesKeyOf(two.asker, two.doer, planted, 1), utf8("not ours"));
    const committed = await ended();
    two.doer.trouble = ({ operation }) => {
      if (operation === "put") two.clock.jump(limits.ownerLookMs);
      return undefined;
    };
    await publishEnding(box, committed);
    expect(await saidAt(2)).toEqual(succeeded);
  });

  it("lead two publishers to the same next attempt", async () => {
    two.store.plant(framesKeyOf(two.asker, two.doer, planted, 1), utf8("not ours"));
    const committed = await ended();
    await Promise.all([
      publishEnding(box, committed),
      publishEnding(two.doer.process(), committed),
    ]);
    expect(await saidAt(2)).toEqual(succeeded);
    expect(await saidAt(3)).toBeUndefined();
  });
});

it("signs the same outcome again once the key has changed, for the next attempt", async () => {
  const committed = await ended();
  two.doer.signingKey = signingKeyFromSeed(new Uint8Array(32).fill(7));
  const renewed = two.doer.process();
  await publishEnding(renewed, committed);
  expect(await saidAt(1, renewed)).toBeUndefined();
  expect(await saidAt(2, renewed)).toEqual(succeeded);
});

describe("a state that may no longer serve the name", () => {
  it("does not end a run, and publishes no end", async () => {
    const committed = await ended();
    await claimedElsewhere(box.state, two.clock.now());
    expect(await codeOf(two.clock, publishEnding(box, committed))).toBe("STATE_ELSEWHERE");
    expect(await codeOf(two.clock, ended())).toBe("STATE_ELSEWHERE");
    expect(two.doer.calls).toEqual([]);
  });

  it("is looked at before the end when the last look is too old, and not committed without", async () => {
    two.clock.jump(limits.ownerLookMs);
    const terminal = signBareTerminal(box, receipt, receipt.attempt, succeeded);
    const unlooked = commitEnd(box, leaseOf(receipt), terminal);
    expect(await codeOf(two.clock, unlooked)).toBe("OWNER_UNCHECKED");
    await ended();
    expect(two.doer.calls).toEqual(["get owner"]);
  });
});
