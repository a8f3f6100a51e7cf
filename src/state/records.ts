import type { GatewayName, RunId, WorkerId } from "../base/names.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import type { Outbox } from "./outbox.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Retention } from "./retention.ts";
import type { CancelTarget, ReceivedOverview, RefFilter } from "./state.ts";
import type { Troubles } from "./troubles.ts";

/**
 * What a state consists of, as the steps see it: plain records, read and written synchronously. `RecordState`
 * makes the steps from it, so that each rule exists once, whatever keeps the records.
 *
 * What writes is called only inside a function passed to `write`. Records that go in or come out are copies.
 * A step looks at everything that may refuse before it writes anything.
 */
export interface Records {
  /** Runs `step` on one consistent view; it writes nothing. Needed only by what reads more than once. */
  read<T>(step: () => T): T;
  /**
   * Runs `step` alone among all processes and commits what it wrote; nothing when it throws. Others see it at
   * once; it is as durable as it has to be once `settled` has resolved.
   */
  write<T>(step: () => T, commit: Commit): T;
  /** What this process has committed so far is as durable as it has to be. */
  settled(): Promise<void>;
  /** What any process has committed so far is durable, however it was committed. */
  sync(): Promise<void>;
  /** Whether the present write has written anything yet: one that has not costs no disk. */
  readonly dirty: boolean;
  close(): void;

  readonly receipts: Receipts;
  readonly outbox: Outbox;
  readonly quarantine: Quarantine;
  readonly troubles: Troubles;

  meta(): Meta;
  putMeta(meta: Meta): void;
  /** Makes this the highest clock value, unless one as high is kept. */
  raiseClock(nowMs: number): void;

  hasNonce(nonce: string): boolean;
  putNonce(nonce: string): void;
  deleteNonces(): void;

  version(document: string): number | undefined;
  putVersion(document: string, version: number): void;
  lastNumber(series: string): number | undefined;
  putLastNumber(series: string, last: number): void;
}

/** `relaxed`: the machine may lose it with its power, until something durable is committed after it. */
export type Commit = "durable" | "relaxed";

/** The receipts as a driver keeps them. */
export interface Receipts {
  get(ref: RunRef): Receipt | undefined;
  /** The first by requestDigest; there is hardly a second. */
  ofCancel(target: CancelTarget): Receipt | undefined;
  /** Whether a receipt of the run stands in the way of this request: one of another digest, by `standsInTheWay`. */
  isBlocked(ref: RunRef): boolean;
  /** The run's receipt that was admitted; of several, which there never are, the first by requestDigest. */
  admitted(from: GatewayName, runId: RunId): Pick<Receipt, "tenant"> | undefined;
  /** In the reverse order of (receivedMs, runId, requestDigest, from). */
  latest(limit: number): Receipt[];
  /** In order of (receivedMs, runId, requestDigest, from), like the next. */
  named(runId: RunId): Receipt[];
  refs(filter: RefFilter): RunRef[];
  openWorkers(): Set<WorkerId>;
  overview(): ReceivedOverview;
  /** Counts the sender's other open runs that are no grants, and all its receipts from after `afterMs`. */
  peerWork(from: GatewayName, runId: RunId, afterMs: number): PeerWork;
  /** Whether an open receipt of the sender names this run as the one it continues. */
  isContinued(from: GatewayName, runId: RunId): boolean;
  /** Ended and acknowledged ones that were kept until before `nowMs`, in order of (kept until, from, runId, requestDigest). */
  old(nowMs: number, retention: Retention): Iterable<OldReceipt>;
  put(receipt: Receipt): void;
  /** Says of all that was received or ended later that it was then: by a clock that was ahead. */
  dateUntil(nowMs: number): void;
  delete(ref: RunRef): void;
}

/** What a state knows of itself. */
export interface Meta {
  readonly highestClockMs: number;
  readonly bornMs: number;
  readonly lookMs: number | null;
  readonly generation: number;
  readonly claimedMs: number | null;
  readonly elsewhere: boolean;
  readonly lastPassMs: number | null;
  readonly lastPassCode: string | null;
  readonly lastGoodPassMs: number | null;
}

export interface PeerWork {
  readonly openRuns: number;
  readonly receivedLastMinute: number;
  readonly unpublished: number;
}

export type OldReceipt = RunRef & Pick<Receipt, "admitted">;
