import { describe, expect, it } from "vitest";
import { asPosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { bornEnded, decideAdmission, type Candidate } from "../../src/mailbox/admission.ts";
import { heldReceipt, leaseOf } from "../../src/mailbox/lease.ts";
import type { RunView } from "../../src/state/state.ts";
import {
  candidateWith,
  endingWith,
  expMs,
  iat,
  receiptWith,
  runOf,
  skewMs,
  viewAt,
  workerOf,
} from "../support/receipts.ts";

const nowMs = iat * 1000 + 1000;
const soon = viewAt(nowMs);
const owner = soon.owner;
const succeeded = { status: "succeeded" } as const;
const earlier = runOf("e");
const idle = soon.peer;

/** What is decided, in one word: the status and the code, or the code that it throws. */
function decided(candidate: Candidate, view: RunView): string {
  try {
    const admission = decideAdmission(candidate, view);
    switch (admission.status) {
      case "exists":
      case "admitted":
        return admission.status;
      case "answered":
        return `${admission.outcome.status} ${admission.outcome.error?.code ?? ""}`;
      case "silenced":
      case "waits":
        return `${admission.status} ${admission.code}`;
    }
  } catch (thrown) {
    return asPosternError(thrown).code;
  }
}

describe("one question at a time", () => {
  const denial = { code: "NOT_GRANTED", message: "no" } as const;
  it.each<[string, Candidate, RunView, string]>([
    ["what nothing stands against is admitted", candidateWith(), soon, "admitted"],
    [
      "a receipt of the same bytes is followed",
      candidateWith(),
      viewAt(nowMs, { receipt: receiptWith() }),
      "exists",
    ],
    [
      "another state serves the name: nothing is decided",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, elsewhere: true } }),
      "STATE_ELSEWHERE",
    ],
    [
      "nobody has looked at the owner keys",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, lookMs: null } }),
      "OWNER_UNCHECKED",
    ],
    [
      "this state has not claimed the name",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, claimedMs: null } }),
      "OWNER_UNCHECKED",
    ],
    [
      "the look at the owner keys is a minute old",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, lookMs: nowMs - limits.ownerLookMs } }),
      "OWNER_UNCHECKED",
    ],
    [
      "the look at the owner keys is nearly a minute old",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, lookMs: nowMs - limits.ownerLookMs + 1 } }),
      "admitted",
    ],
    [
      "a look from the future counts for nothing",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, lookMs: nowMs + 1 } }),
      "OWNER_UNCHECKED",
    ],
    [
      "the clock is behind what was seen",
      candidateWith(),
      viewAt(nowMs, { highestClockMs: nowMs + limits.clockStepMs + 1 }),
      "CLOCK_BEHIND",
    ],
    ["signed a skew ahead of this clock", candidateWith(), viewAt(iat * 1000 - skewMs), "admitted"],
    [
      "signed more than a skew ahead of this clock: it waits",
      candidateWith(),
      viewAt(iat * 1000 - skewMs - 1),
      "waits ISSUED_IN_FUTURE",
    ],
    [
      "signed before the state was recovered",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, bornMs: iat * 1000 + 1 } }),
      "interrupted STATE_LOST",
    ],
    [
      "signed less than a skew and a look's age after the recovery",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, bornMs: iat * 1000 - limits.recoveryMs + 1 } }),
      "interrupted STATE_LOST",
    ],
    [
      "signed a skew and a look's age after the recovery",
      candidateWith(),
      viewAt(nowMs, { owner: { ...owner, bornMs: iat * 1000 - limits.recoveryMs } }),
      "admitted",
    ],
    [
      "another digest stands in the way",
      candidateWith(),
      viewAt(nowMs, { blocked: true }),
      "refused IDEMPOTENCY_CONFLICT",
    ],
    ["before expiry and skew", candidateWith(), viewAt(expMs + skewMs - 1), "admitted"],
    ["at expiry and skew", candidateWith(), viewAt(expMs + skewMs), "expired EXPIRED"],
    [
      "before expiry and two skews",
      candidateWith(),
      viewAt(expMs + 2 * skewMs - 1),
      "expired EXPIRED",
    ],
    [
      "at expiry and two skews nobody would believe an answer",
      candidateWith(),
      viewAt(expMs + 2 * skewMs),
      "silenced RECEIVED_TOO_LATE",
    ],
    [
      "a conflict is claimed before expiry and two skews",
      candidateWith(),
      viewAt(expMs + 2 * skewMs - 1, { blocked: true }),
      "refused IDEMPOTENCY_CONFLICT",
    ],
    [
      "a conflict is not claimed at expiry and two skews",
      candidateWith(),
      viewAt(expMs + 2 * skewMs, { blocked: true }),
      "silenced RECEIVED_TOO_LATE",
    ],
    [
      "a cancel lies beside it",
      candidateWith({}, { cancelled: true }),
      soon,
      "cancelled CANCELLED",
    ],
    [
      "right before the deadline",
      candidateWith({ deadline: iat + 10 }),
      viewAt(iat * 1000 + 9999),
      "admitted",
    ],
    [
      "at the deadline",
      candidateWith({ deadline: iat + 10 }),
      viewAt(iat * 1000 + 10_000),
      "cancelled DEADLINE",
    ],
    ["not granted", candidateWith({}, { refusal: denial }), soon, "refused NOT_GRANTED"],
    [
      "continues a run that was never admitted",
      candidateWith({ continues: earlier }),
      soon,
      "refused NOT_GRANTED",
    ],
    [
      "continues a run of another tenant",
      candidateWith({ continues: earlier, tenant: "acme" }),
      viewAt(nowMs, { continued: { tenant: "other" } }),
      "refused NOT_GRANTED",
    ],
    [
      "continues a run of the same tenant",
      candidateWith({ continues: earlier, tenant: "acme" }),
      viewAt(nowMs, { continued: { tenant: "acme" } }),
      "admitted",
    ],
    [
      "one run below the sender's concurrency",
      candidateWith(),
      viewAt(nowMs, { peer: { openRuns: 1, receivedLastMinute: 1, unpublished: 0 } }),
      "admitted",
    ],
    [
      "at the sender's concurrency it waits",
      candidateWith(),
      viewAt(nowMs, { peer: { openRuns: 2, receivedLastMinute: 2, unpublished: 0 } }),
      "waits QUOTA_REACHED",
    ],
    [
      "beyond the sender's rate even a refusal waits, because it would leave a receipt",
      candidateWith({}, { refusal: { code: "NOT_GRANTED", message: "no" } }),
      viewAt(nowMs, { peer: { openRuns: 0, receivedLastMinute: 10, unpublished: 0 } }),
      "waits QUOTA_REACHED",
    ],
    [
      "at the sender's rate it waits",
      candidateWith(),
      viewAt(nowMs, { peer: { openRuns: 0, receivedLastMinute: 10, unpublished: 0 } }),
      "waits QUOTA_REACHED",
    ],
    [
      "while one answer less than may be is unpublished",
      candidateWith(),
      viewAt(nowMs, { peer: { ...idle, unpublished: limits.unpublishedPerPeer - 1 } }),
      "admitted",
    ],
    [
      "while too many of the sender's answers are unpublished even a refusal waits",
      candidateWith({}, { refusal: { code: "NOT_GRANTED", message: "no" } }),
      viewAt(nowMs, { peer: { ...idle, unpublished: limits.unpublishedPerPeer } }),
      "waits QUOTA_REACHED",
    ],
  ])("%s", (_what, candidate, view, expected) => {
    expect(decided(candidate, view)).toBe(expected);
  });
});

describe("the order of the questions", () => {
  // Everything is wrong at once; each step takes the first reason away and meets the next one.
  const wrong = candidateWith(
    { deadline: iat, continues: earlier },
    { cancelled: true, refusal: { code: "TOO_LARGE", message: "big" }, maxConcurrentRuns: 0 },
  );
  const tooLate = expMs + skewMs;
  const view = viewAt(tooLate, {
    receipt: receiptWith(),
    blocked: true,
    owner: { ...owner, bornMs: iat * 1000, elsewhere: true },
    highestClockMs: tooLate + limits.clockStepMs + 1,
  });
  const looked = viewAt(tooLate).owner;
  const withoutReceipt = { ...view, receipt: undefined };
  const served = { ...withoutReceipt, owner: { ...looked, bornMs: iat * 1000 } };
  const onTime = { ...served, highestClockMs: tooLate };
  const early = iat * 1000 - skewMs - 1;
  const notBorn = { ...onTime, owner: looked };
  const alone = { ...notBorn, blocked: false };
  const inTime = viewAt(nowMs);
  const notCancelled = { ...wrong, cancelled: false };
  const noDeadline = { ...notCancelled, received: { ...wrong.received, deadline: null } };
  const granted = { ...noDeadline, refusal: undefined };
  const alike = { ...granted, received: { ...granted.received, continues: null } };

  it.each<[string, Candidate, RunView, string]>([
    ["a standing receipt comes first", wrong, view, "exists"],
    ["then whether this state serves the name", wrong, withoutReceipt, "STATE_ELSEWHERE"],
    ["then a clock that is behind", wrong, served, "CLOCK_BEHIND"],
    [
      "then a signature from the future",
      wrong,
      { ...onTime, nowMs: early, highestClockMs: early, owner: viewAt(early).owner },
      "waits ISSUED_IN_FUTURE",
    ],
    ["then a lost state", wrong, onTime, "interrupted STATE_LOST"],
    ["then a conflict", wrong, notBorn, "refused IDEMPOTENCY_CONFLICT"],
    ["then expiry", wrong, alone, "expired EXPIRED"],
    ["then a cancel", wrong, inTime, "cancelled CANCELLED"],
    ["then the deadline", notCancelled, inTime, "cancelled DEADLINE"],
    ["then the grants", noDeadline, inTime, "refused TOO_LARGE"],
    ["then the run that it continues", granted, inTime, "refused NOT_GRANTED"],
    ["then the quotas", alike, inTime, "waits QUOTA_REACHED"],
  ])("%s", (_what, candidate, seen, expected) => {
    expect(decided(candidate, seen)).toBe(expected);
  });
});

it("bears a refusal ended, so that a repeat finds it and can never run", () => {
  const ended = bornEnded(receiptWith(), nowMs, null);
  expect([ended.admitted, ended.state, ended.ended?.acknowledged]).toEqual([false, "ended", true]);
  expect(decided(candidateWith(), viewAt(nowMs, { receipt: ended }))).toBe("exists");
});

describe("a lease", () => {
  const mine = receiptWith();
  const lease = leaseOf(mine);
  const held = (receipt: typeof mine | undefined) =>
    heldReceipt(lease, viewAt(nowMs, { receipt })) !== undefined;

  it("holds while worker, nonce and attempt are the same and the run is open", () => {
    expect(held(mine)).toBe(true);
    expect(held(receiptWith({ state: "running", starts: 1 }))).toBe(true);
  });

  it.each([
    ["another worker", { worker: workerOf("v") }],
    ["another nonce", { nonce: "m".repeat(26) }],
    ["a higher attempt", { attempt: 2 }],
    ["an end", { state: "ended", ended: endingWith(succeeded) } as const],
  ])("is lost to %s", (_what, change) => {
    expect(held(receiptWith(change))).toBe(false);
  });
});
