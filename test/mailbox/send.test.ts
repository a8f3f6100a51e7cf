import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun, enqueue, repeatCancel, sendIfDue } from "../../src/mailbox/send.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { runOf } from "../support/receipts.ts";
import { agent, bytesAt, codeOf, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.asker.process();
});

const outgoing = (text = "hi", ttlMs = 600_000) => ({
  to: two.doer.name,
  payload: {
    agentTarget: agent,
    idempotencyKey: "k1",
    callerIdentity: { gateway: two.asker.name },
    body: { kind: "prompt", prompt: { text } },
  } as const,
  ttlMs,
});

/** The record as it stands now. */
async function now(record: OutboxRecord): Promise<OutboxRecord> {
  const standing = await box.state.outboxRecord(record.runId);
  if (standing === undefined) throw new Error("the record is gone");
  return standing;
}

const send = async (record: OutboxRecord): Promise<void> => sendIfDue(box, await now(record));
const puts = (): number => two.asker.calls.filter((call) => call === "put request").length;

describe("remembering", () => {
  it("commits the record before anything is put", async () => {
    const record = await enqueue(box, outgoing());
    expect(two.asker.calls).toEqual([]);
    expect(await now(record)).toEqual(record);
    expect(record.sentMs).toBeNull();
  });

  it("signs an idempotency key once: the same intent later is the same bytes", async () => {
    const first = await enqueue(box, outgoing());
    two.clock.jump(5000);
    const second = await enqueue(two.asker.process(), outgoing());
    expect(second.envelope).toEqual(first.envelope);
  });

  it("refuses another intent under the key, and keeps the first", async () => {
    const first = await enqueue(box, outgoing());
    expect(await codeOf(two.clock, enqueue(box, outgoing("else")))).toBe("IDEMPOTENCY_CONFLICT");
    expect(await now(first)).toEqual(first);
  });

  it("takes a new deadline for no new intent", async () => {
    const first = await enqueue(box, outgoing());
    const { payload, ...rest } = outgoing();
    const again = await enqueue(box, { ...rest, payload: { ...payload, deadline: 1 } });
    expect(again.requestDigest).toBe(first.requestDigest);
  });

  it.each([0, 999, limits.maxTtlMs + 1])("refuses a time to live of %i ms", async (ttlMs) => {
    expect(await codeOf(two.clock, enqueue(box, outgoing("hi", ttlMs)))).toBe("TTL_INVALID");
  });

  it("refuses while another state serves the name", async () => {
    await elsewhere();
    expect(await codeOf(two.clock, enqueue(box, outgoing()))).toBe("STATE_ELSEWHERE");
  });
});

describe("sending", () => {
  it("puts the bytes of the record, and remembers when", async () => {
    const record = await enqueue(box, outgoing());
    await send(record);
    expect(await bytesAt(two.store, record.key)).toEqual(record.envelope);
    expect((await now(record)).sentMs).toBe(two.clock.now());
    expect(two.asker.calls).toEqual(["put request"]);
  });

  it("puts the same bytes again after a minute, to heal an inbox that lost them", async () => {
    const record = await enqueue(box, outgoing());
    await send(record);
    await two.store.delete(record.key);
    two.clock.jump(limits.resendMs - 1);
    await send(record);
    expect(puts()).toBe(1);
    two.clock.jump(1);
    await send(record);
    expect(await bytesAt(two.store, record.key)).toEqual(record.envelope);
  });

  it("puts again only every ten minutes once frames have come", async () => {
    const record = await enqueue(box, outgoing("hi", 3_600_000));
    await send(record);
    await box.state.noteOutbox(record, { answered: true });
    two.clock.jump(limits.resendAnsweredMs - 1);
    await send(record);
    expect(puts()).toBe(1);
    two.clock.jump(1);
    await send(record);
    expect(puts()).toBe(2);
  });

  it("never puts at or after expiry", async () => {
    const record = await enqueue(box, outgoing());
    two.clock.jump(600_000);
    await send(record);
    expect(two.asker.calls).toEqual([]);
  });

  it("never puts for a run that is closed", async () => {
    const record = await enqueue(box, outgoing());
    const { runId } = record;
    const terminal = { status: "succeeded" } as const;
    const transcript = { runId, attempt: 1, terminal, envelopes: [], closedMs: 1 };
    await box.state.closeOutbox(record, transcript);
    await send(record);
    expect(two.asker.calls).toEqual([]);
  });

  it("puts nothing while another state serves the name", async () => {
    const record = await enqueue(box, outgoing());
    await elsewhere();
    await send(record);
    expect(two.asker.calls).toEqual([]);
  });

  it("is due again when the response of the put was lost, and knows its own bytes then", async () => {
    const record = await enqueue(box, outgoing());
    two.asker.trouble = () => ({ when: "after", code: "STORE_UNREACHABLE" });
    expect(await codeOf(two.clock, send(record))).toBe("STORE_UNREACHABLE");
    two.asker.trouble = () => undefined;
    await send(record);
    expect(two.asker.calls).toEqual(["put request", "put request", "get request"]);
    expect((await now(record)).displaced).toBe(false);
  });

  it("reports other bytes under its name, and sends its own again until they stand", async () => {
    const record = await enqueue(box, outgoing());
    two.store.plant(record.key, utf8("not ours"));
    await send(record);
    expect((await now(record)).displaced).toBe(true);
    expect(two.asker.reports).toHaveLength(1);
    await two.store.delete(record.key);
    two.clock.jump(limits.resendMs);
    await send(record);
    expect((await now(record)).displaced).toBe(false);
    expect(requestDigestOf((await bytesAt(two.store, record.key)) ?? new Uint8Array())).toBe(
      record.requestDigest,
    );
  });
});

describe("cancelling", () => {
  it("commits the cancel before it is put, and puts it again past the request's expiry", async () => {
    const record = await enqueue(box, outgoing());
    two.asker.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    expect(await codeOf(two.clock, cancelRun(box, record.runId))).toBe("STORE_UNREACHABLE");
    const { cancel } = await now(record);
    if (cancel === null) throw new Error("the cancel is not remembered");
    two.asker.trouble = () => undefined;
    two.clock.jump(30 * 24 * 3_600_000);
    await repeatCancel(box, await now(record));
    expect(await bytesAt(two.store, cancel.key)).toEqual(cancel.envelope);
  });

  it("signs a run's cancel once", async () => {
    const record = await enqueue(box, outgoing());
    await cancelRun(box, record.runId);
    const first = (await now(record)).cancel;
    two.clock.jump(5000);
    await cancelRun(box, record.runId);
    expect((await now(record)).cancel).toEqual(first);
  });

  it("does not know a run that was never asked", async () => {
    expect(await codeOf(two.clock, cancelRun(box, runOf("a")))).toBe("RUN_UNKNOWN");
  });

  it("publishes nothing while another state serves the name", async () => {
    const record = await enqueue(box, outgoing());
    await elsewhere();
    expect(await codeOf(two.clock, cancelRun(box, record.runId))).toBe("STATE_ELSEWHERE");
    expect(two.asker.calls).toEqual([]);
  });
});

function elsewhere(): Promise<void> {
  return claimedElsewhere(box.state, two.clock.now());
}
