/**
 * What `postern status --json` prints. Times are ISO 8601 in UTC, lengths of time whole seconds; null stands
 * for what there is none of, or what was not looked at.
 */
export interface StatusView {
  readonly at: string;
  readonly gateway: string;
  readonly realm: string;
  readonly store: StoreView;
  /** Of `poll`; of a service, what it does within a minute. */
  readonly passes: {
    readonly last: (Moment & { readonly code: string | null }) | null;
    readonly lastGood: Moment | null;
  };
  /** Null where the store was not, or could not be, looked at. */
  readonly inbox: InboxView | null;
  /** Runs asked of this gateway; `oldest` is the first received of the admitted and running ones. */
  readonly received: {
    readonly admitted: number;
    readonly running: number;
    readonly unpublished: number;
    readonly oldest: Moment | null;
  };
  /** Runs asked from here; `oldest` is the first of the open ones. */
  readonly asked: {
    readonly open: number;
    readonly unknown: number;
    readonly oldest: Moment | null;
  };
  readonly quarantine: readonly QuarantinedView[];
  readonly owner: {
    readonly generation: number;
    readonly claimed: Moment | null;
    readonly elsewhere: boolean;
  };
  readonly clock: {
    /** By how much this machine's clock is behind the highest value that the state has seen. */
    readonly behindSeconds: number;
    /** By how much it is at least behind the store's, as far as what waits in the inbox tells. */
    readonly behindStoreSeconds: number | null;
  };
  readonly trust: {
    readonly version: number | null;
    readonly expiresAt: string | null;
    readonly expiresInSeconds: number | null;
    /** Why it cannot be used; null for one that can. */
    readonly code: string | null;
  };
  /** The last of each subject, the latest first. */
  readonly troubles: readonly TroubleView[];
  /** Why the exit status is not 0. */
  readonly attention: readonly Attention[];
}

export interface Moment {
  readonly at: string;
  readonly ageSeconds: number;
}

interface StoreView {
  readonly location: string;
  /** Null where it was not looked at. */
  readonly reached: boolean | null;
  readonly code: string | null;
  readonly message: string | null;
}

export interface InboxView {
  readonly waiting: number;
  /** False when there is more than one listing holds: then these are the first by name. */
  readonly complete: boolean;
  readonly oldest: Moment | null;
  /** In order of their names; all who are no peers are one. */
  readonly senders: readonly SenderView[];
}

export interface SenderView {
  readonly sender: string;
  readonly waiting: number;
  readonly oldest: Moment;
}

export interface QuarantinedView {
  readonly sender: string;
  readonly entries: number;
  /** Of what is kept. */
  readonly bytes: number;
  readonly released: number;
  readonly latest: Moment & { readonly code: string };
}

export interface TroubleView extends Moment {
  /** Null for this gateway's own. */
  readonly peer: string | null;
  readonly code: string;
  readonly message: string;
}

/** What somebody should look at: a code that never changes its meaning, and a line for people. */
export interface Attention {
  readonly code: AttentionCode;
  readonly what: string;
}

export const attentionCodes = [
  "STORE_AWAY",
  "STATE_ELSEWHERE",
  "CLOCK_BEHIND",
  "TRUST_UNUSABLE",
  "TRUST_EXPIRING",
  "PASS_OVERDUE",
  "GATEWAY_TROUBLE",
  "PEER_TROUBLE",
  "RUNS_UNKNOWN",
  "QUARANTINED",
] as const;
export type AttentionCode = (typeof attentionCodes)[number];

export function momentOf(ms: number, nowMs: number): Moment {
  return { at: new Date(ms).toISOString(), ageSeconds: secondsOf(nowMs - ms) };
}

export function momentOrNull(ms: number | null, nowMs: number): Moment | null {
  return ms === null ? null : momentOf(ms, nowMs);
}

/** Whole seconds of a length of time; what is not over yet has none. */
export function secondsOf(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}
