import { limits } from "../../../src/base/limits.ts";
import type { Status } from "../../../src/cli/status/status.ts";
import type { Moment } from "../../../src/cli/status/view.ts";

const nowMs = Date.UTC(2030, 0, 1);

export function ageOf(ageSeconds: number): Moment {
  return { at: new Date(nowMs - 1000 * ageSeconds).toISOString(), ageSeconds };
}

/** A gateway that nobody has to look at. */
export const healthy: Status = {
  at: ageOf(0).at,
  gateway: "hq",
  realm: "prod",
  store: { location: "file:///store", reached: true, code: null, message: null },
  passes: { last: { ...ageOf(30), code: null }, lastGood: ageOf(30) },
  inbox: {
    waiting: 2,
    complete: true,
    oldest: ageOf(5),
    senders: [{ sender: "lab", waiting: 2, oldest: ageOf(5) }],
  },
  received: { admitted: 1, running: 2, unpublished: 3, oldest: ageOf(60) },
  asked: { open: 4, unknown: 0, oldest: ageOf(90) },
  quarantine: [],
  owner: { generation: 7, claimed: ageOf(1200), elsewhere: false },
  clock: { behindSeconds: 0, behindStoreSeconds: 0 },
  trust: {
    version: 3,
    expiresAt: new Date(nowMs + limits.trustLifetimeMs).toISOString(),
    expiresInSeconds: limits.trustLifetimeMs / 1000,
    code: null,
  },
  troubles: [],
};
