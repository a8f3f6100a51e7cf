import { describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { admit } from "../../src/mailbox/admit.ts";
import type { OnCrash } from "../../src/mailbox/take-over.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import type { StoreCall } from "../../src/store/around.ts";
import { deadlineMs, OneCall, ttlMs, type Stop } from "../support/one-call.ts";
import { hanger, plainGrants, sayer } from "../support/two-gateways.ts";

/** Leads a call to the point of interest, where it is stopped, and on until nothing of it is under way. */
type Life = (call: OneCall) => Promise<void>;

const beforeSending: Life = (call) => call.stop();

const beforeAdmission: Life = async (call) => {
  await call.send();
  await call.stop();
};

const waitingForRoom: Life = async (call) => {
  const { two } = call;
  two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
  await two.asks(two.asker.process(), "another");
  const another = hanger();
  const { ended } = await call.begin(two.doer.process(), another.handler);
  await call.send();
  await call.stop();
  await two.clock.advance(2 * limits.runDelayMs);
  // A cancel is answered without room; whether a deadline has passed is seen once there is some.
  expect(call.receipt !== undefined).toBe(call.by === "cancel");
  another.finish();
  await two.clock.until(ended);
  expect(call.receipt).toBeDefined();
};

const leftAdmitted: Life = async (call) => {
  await call.send();
  const { two, runId } = call;
  const { box, kill } = call.mortalDoer();
  const name = { kind: "request", to: two.doer.name, from: two.asker.name, runId } as const;
  const waiting = { name, size: 1, cancels: [], listedMs: two.clock.now() };
  expect(await admit(box, waiting, () => ttlMs)).toMatchObject({ status: "admitted" });
  kill();
  await call.stop();
};

const running: Life = async (call) => {
  await call.send();
  const { ended } = await call.begin(call.two.doer.process(), hanger().handler);
  await call.stop();
  await call.two.clock.until(ended);
};

const leftRunning: Life = async (call) => {
  await call.send();
  const { box, kill } = call.mortalDoer();
  await call.begin(box, hanger().handler);
  kill();
  await call.stop();
};

/** Its outcome is committed, and its end waits for a store that takes no frames. */
const leftReturned: Life = async (call) => {
  await call.send();
  const { clock, doer } = call.two;
  const unhurried: Handler = {
    run: async (_work, emit) => {
      await emit({ event: "textDelta", payload: { text: "a" } });
      await clock.sleep(2 * limits.frameWindowMs);
      return { result: "done" };
    },
  };
  doer.trouble = (made) =>
    at("put", "frames")(made) ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
  const { box, kill } = call.mortalDoer();
  await call.begin(box, unhurried);
  expect(doer.onlyReceipt).toMatchObject({ state: "running", outcome: { result: "done" } });
  kill();
  doer.trouble = () => undefined;
  await call.stop();
};

const at =
  (operation: StoreCall["operation"], kind: "frames" | "request") =>
  (call: StoreCall): boolean =>
    call.operation === operation && parseObjectKey(call.name)?.kind === kind;

const leftAt =
  (diesAt: (call: StoreCall) => boolean): Life =>
  async (call) => {
    await call.send();
    await call.begin(call.mortalDoer(diesAt).box, sayer("a"));
    await call.stop();
  };

const ended: Life = async (call) => {
  await call.send();
  await call.doerPass();
  await call.stop();
};

const closed: Life = async (call) => {
  await call.send();
  await call.doerPass();
  await call.askerPass();
  await call.stop();
  expect(await call.left()).toEqual([]);
};

interface Row {
  readonly when: string;
  readonly life: Life;
  readonly starts: 0 | 1;
  /** Status and code of the terminal. */
  readonly ends: Readonly<Record<Stop, string>>;
  readonly onCrash?: OnCrash;
}

const stopped = { cancel: "cancelled CANCELLED", deadline: "cancelled DEADLINE" };
const unknown = { cancel: "interrupted INTERRUPTED", deadline: "interrupted INTERRUPTED" };
const tooLate = { cancel: "succeeded", deadline: "succeeded" };

const rows: readonly Row[] = [
  { when: "before the request is sent", life: beforeSending, starts: 0, ends: stopped },
  { when: "before it is admitted", life: beforeAdmission, starts: 0, ends: stopped },
  { when: "while it waits for room", life: waitingForRoom, starts: 0, ends: stopped },
  { when: "after a worker admitted it and died", life: leftAdmitted, starts: 0, ends: stopped },
  { when: "while it runs", life: running, starts: 1, ends: stopped },
  { when: "after a worker died that ran it", life: leftRunning, starts: 1, ends: unknown },
  {
    when: "after a worker died that ran it, for an agent that may run again",
    life: leftRunning,
    starts: 1,
    ends: unknown,
    onCrash: "retry",
  },
  {
    when: "after the outcome was committed, and not the end",
    life: leftReturned,
    starts: 1,
    ends: tooLate,
  },
  {
    when: "after the end was committed, and the terminal not put",
    life: leftAt(at("put", "frames")),
    starts: 1,
    ends: tooLate,
  },
  {
    when: "after the terminal was put, and the request not deleted",
    life: leftAt(at("delete", "request")),
    starts: 1,
    ends: tooLate,
  },
  { when: "after the end, not yet read by the caller", life: ended, starts: 1, ends: tooLate },
  { when: "after the run was closed", life: closed, starts: 1, ends: tooLate },
];

describe.each(rows)("what stops a run $when", ({ life, starts, ends, onCrash }) => {
  it.each(["cancel", "deadline"] as const)(
    "if it is a %s: both sides know of one end, and nothing stays in the store",
    async (stop) => {
      const call = await OneCall.remembered(stop);
      await life(call);
      for (let passes = 0; passes < 2; passes += 1) {
        await call.askerPass();
        await call.doerPass(onCrash);
      }
      await call.askerPass();
      expect([call.told(), call.starts]).toEqual([`closed ${ends[stop]}`, starts]);
      expect(call.receipt).toMatchObject({ starts, ended: { acknowledged: true } });
      const { status, error } = call.receipt?.ended?.terminal?.payload ?? {};
      expect([status, error?.code].join(" ").trim()).toBe(ends[stop]);
      expect(await call.left()).toEqual([]);
    },
  );
});

describe("a callee that is absent", () => {
  it.each([
    { what: "without a deadline", stop: undefined, wantedMs: ttlMs },
    { what: "that is cancelled", stop: "cancel", wantedMs: ttlMs },
    { what: "with a deadline", stop: "deadline", wantedMs: deadlineMs },
  ] as const)(
    "for ever leaves a run $what `unknown`, but not before its time is up",
    async (row) => {
      const { stop, wantedMs } = row;
      const call = await OneCall.remembered(stop);
      await call.send();
      if (stop === "cancel") await call.stop();
      await call.aloneUntil(wantedMs + limits.unknownGraceMs);
      expect(call.told()).toBe("open");
      await call.aloneUntil(wantedMs + limits.unknownGraceMs + 1000);
      expect(call.told()).toBe("unknown");
      // One object of each kind, however often it was put again.
      expect(await call.left()).toHaveLength(stop === "cancel" ? 2 : 1);
    },
  );

  it.each([
    { ms: ttlMs - 1000, stop: "cancel", ends: "closed cancelled CANCELLED" },
    { ms: ttlMs - 1000, stop: "deadline", ends: "closed cancelled DEADLINE" },
    { ms: ttlMs + limits.skewMs, stop: "cancel", ends: "closed expired EXPIRED" },
    { ms: ttlMs + 2 * limits.skewMs + 1000, stop: "cancel", ends: "unknown" },
    { ms: ttlMs + 2 * limits.skewMs + 1000, stop: "deadline", ends: "unknown" },
  ] as const)("for $ms ms, after a $stop, leads to `$ends`", async ({ stop, ms, ends }) => {
    const call = await OneCall.remembered(stop);
    await call.send();
    if (stop === "cancel") await call.stop();
    await call.aloneUntil(ms);
    await call.doerPass();
    await call.askerPass();
    expect([call.told(), call.starts]).toEqual([ends, 0]);
    await call.doerPass();
    expect(await call.left()).toEqual([]);
  });

  it("with an end to tell still has the last word: a late terminal counts", async () => {
    const call = await OneCall.remembered();
    await call.send();
    await call.begin(call.mortalDoer(at("put", "frames")).box, sayer("a"));
    await call.aloneUntil(ttlMs + 2 * limits.unknownGraceMs);
    expect(call.told()).toBe("unknown");
    await call.cancel();
    await call.doerPass();
    await call.askerPass();
    expect([call.told(), call.starts]).toEqual(["closed succeeded", 1]);
    await call.doerPass();
    expect(await call.left()).toEqual([]);
  });
});
