import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { attentionOf, type AttentionOptions } from "../../../src/cli/status/attention.ts";
import type { Status } from "../../../src/cli/status/status.ts";
import { ageOf, healthy } from "./samples.ts";

const daySeconds = limits.recentTroubleMs / 1000;

function codes(change: Partial<Status>, options: Partial<AttentionOptions> = {}): string[] {
  const all = attentionOf(
    { ...healthy, ...change },
    { warnTrustMs: limits.warnTrustMs, ...options },
  );
  return all.map(({ code }) => code);
}

function quarantined(ageSeconds: number, released = 0): Partial<Status> {
  const latest = { ...ageOf(ageSeconds), code: "KEY_UNKNOWN" };
  return { quarantine: [{ sender: "lab", entries: 1, bytes: 1, released, latest }] };
}

function troubled(peer: string | null, ageSeconds: number): Partial<Status> {
  return { troubles: [{ peer, code: "STORE_FULL", message: "m", ...ageOf(ageSeconds) }] };
}

describe("attention", () => {
  it("is needed by nothing when all is well", () => {
    expect(codes({})).toEqual([]);
  });

  it.each<[string, Partial<Status>]>([
    ["STORE_AWAY", { store: { ...healthy.store, reached: false, code: "STORE_DENIED" } }],
    ["STATE_ELSEWHERE", { owner: { ...healthy.owner, elsewhere: true } }],
    ["CLOCK_BEHIND", { clock: { behindSeconds: 11, behindStoreSeconds: null } }],
    ["CLOCK_BEHIND", { clock: { behindSeconds: 0, behindStoreSeconds: 301 } }],
    ["TRUST_UNUSABLE", { trust: { ...healthy.trust, expiresInSeconds: 0, code: "TRUST_EXPIRED" } }],
    ["TRUST_EXPIRING", { trust: { ...healthy.trust, expiresInSeconds: 14 * daySeconds - 1 } }],
    ["GATEWAY_TROUBLE", troubled(null, 100 * daySeconds)],
    ["PEER_TROUBLE", troubled("lab", daySeconds - 1)],
    ["RUNS_UNKNOWN", { asked: { ...healthy.asked, unknown: 1 } }],
    ["QUARANTINED", quarantined(daySeconds - 1)],
  ])("is %s for what its name says, and for nothing else", (code, change) => {
    expect(codes(change)).toEqual([code]);
  });

  it.each<[string, Partial<Status>]>([
    ["the store was left out", { store: { ...healthy.store, reached: null } }],
    ["a clock was set back a little", { clock: { behindSeconds: 10, behindStoreSeconds: 300 } }],
    ["trust lasts", { trust: { ...healthy.trust, expiresInSeconds: 14 * daySeconds } }],
    ["a peer's trouble is a day old", troubled("lab", daySeconds)],
    ["what is in quarantine is a day old", quarantined(daySeconds)],
    ["what is in quarantine was released", quarantined(1, 1)],
    ["no pass went well, and no age was named", { passes: { last: null, lastGood: null } }],
    ["runs are open", { asked: { open: 9, unknown: 0, oldest: ageOf(1000) } }],
  ])("is not needed because %s", (_, change) => {
    expect(codes(change)).toEqual([]);
  });

  it("is PASS_OVERDUE when no pass went well within the time that was named", () => {
    const passes = { last: { ...ageOf(1), code: "STORE_BUSY" }, lastGood: ageOf(61) };
    expect(codes({ passes }, { maxPassAgeMs: 61_000 })).toEqual([]);
    expect(codes({ passes }, { maxPassAgeMs: 60_000 })).toEqual(["PASS_OVERDUE"]);
    const none = { passes: { last: null, lastGood: null } };
    expect(codes(none, { maxPassAgeMs: 60_000 })).toEqual(["PASS_OVERDUE"]);
  });

  it("for trust comes as early as it is told", () => {
    const trust = { ...healthy.trust, expiresInSeconds: 20 * daySeconds };
    expect(codes({ trust }, { warnTrustMs: 21 * limits.recentTroubleMs })).toEqual([
      "TRUST_EXPIRING",
    ]);
  });

  it("names a bounded number of peers", () => {
    const troubles = Array.from({ length: 1000 }, (_, number) => ({
      peer: `peer-${number}`,
      code: "KEY_UNKNOWN",
      message: "m",
      ...ageOf(1),
    }));
    const options = { warnTrustMs: limits.warnTrustMs };
    const [attention] = attentionOf({ ...healthy, troubles }, options);
    expect(attention?.what.split(",")).toHaveLength(limits.statusScreenRows);
    expect(attention?.what).toContain(`${1000 - limits.statusScreenRows}`);
  });
});
