import { limits } from "../../base/limits.ts";
import { roughDuration } from "../duration.ts";
import type { Status } from "./status.ts";
import { attentionCodes, type Attention, type AttentionCode, type Moment } from "./view.ts";

export interface AttentionOptions {
  /** How old the last good pass may be; any age, and none at all, when absent. */
  readonly maxPassAgeMs?: number;
  /** How long before its end the trust document is worth attention. */
  readonly warnTrustMs: number;
}

/** What somebody should look at; nothing when all is well. */
export function attentionOf(status: Status, options: AttentionOptions): readonly Attention[] {
  return attentionCodes.flatMap((code) => {
    const what = reasons[code](status, options);
    return what === undefined ? [] : [{ code, what }];
  });
}

type Reason = (status: Status, options: AttentionOptions) => string | undefined;

/** Each says what there is, or nothing. */
const reasons: Readonly<Record<AttentionCode, Reason>> = {
  STORE_AWAY: ({ store }) =>
    store.reached === false ? `${store.code}: ${store.message}` : undefined,

  STATE_ELSEWHERE: ({ owner }) =>
    owner.elsewhere
      ? "another state serves this gateway: stop the other machine, or run `postern state recover` here"
      : undefined,

  CLOCK_BEHIND: ({ clock: { behindSeconds, behindStoreSeconds } }) => {
    if (behindSeconds * 1000 > limits.clockStepMs)
      return `the clock is ${inWords(behindSeconds)} behind what the state has seen: nothing is admitted`;
    if (behindStoreSeconds !== null && behindStoreSeconds * 1000 > limits.skewMs)
      return `the clock is ${inWords(behindStoreSeconds)} behind the store's: set it by NTP`;
    return undefined;
  },

  TRUST_UNUSABLE: ({ trust }) =>
    trust.code === null
      ? undefined
      : `trust.json cannot be used (${trust.code}): nobody is answered`,

  TRUST_EXPIRING: ({ trust }, { warnTrustMs }) =>
    trust.code === null && (trust.expiresInSeconds ?? 0) * 1000 < warnTrustMs
      ? `trust.json expires at ${trust.expiresAt}: review it, then raise its version and set a later date`
      : undefined,

  PASS_OVERDUE: ({ passes: { lastGood } }, { maxPassAgeMs }) => {
    if (maxPassAgeMs === undefined) return undefined;
    if (lastGood === null) return "no pass has gone well yet";
    return lastGood.ageSeconds * 1000 > maxPassAgeMs
      ? `the last pass that went well was ${inWords(lastGood.ageSeconds)} ago`
      : undefined;
  },

  GATEWAY_TROUBLE: ({ troubles }) => {
    const own = troubles.find(({ peer }) => peer === null);
    return own === undefined ? undefined : `${own.code}: ${own.message}`;
  },

  // What is a peer's to mend, and stands until that happens, is not told for ever.
  PEER_TROUBLE: ({ troubles }) => {
    const peers = troubles.filter((trouble) => trouble.peer !== null && isRecent(trouble));
    return peers.length === 0 ? undefined : named(peers.map(({ peer, code }) => `${peer} ${code}`));
  },

  RUNS_UNKNOWN: ({ asked: { unknown } }) =>
    unknown > 0
      ? `${unknown} runs asked from here ended nobody knows how: see \`postern runs list\``
      : undefined,

  QUARANTINED: ({ quarantine }) => {
    const fresh = quarantine.filter(
      ({ entries, released, latest }) => entries > released && isRecent(latest),
    );
    if (fresh.length === 0) return undefined;
    const what = named(fresh.map(({ sender, latest }) => `${sender} ${latest.code}`));
    return `${what}: see \`postern quarantine list\``;
  },
};

/** The first of them, and how many more there are. */
function named(all: readonly string[]): string {
  const more = all.length - limits.statusScreenRows;
  const first = all.slice(0, limits.statusScreenRows).join(", ");
  return more > 0 ? `${first} and ${more} more` : first;
}

function isRecent({ ageSeconds }: Moment): boolean {
  return ageSeconds * 1000 < limits.recentTroubleMs;
}

function inWords(seconds: number): string {
  return roughDuration(seconds * 1000);
}
