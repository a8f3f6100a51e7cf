import type { RunId, WorkerId } from "../base/names.ts";
import type { CancelName } from "../protocol/object-key.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import type { AskedOverview, OutboxSteps } from "./outbox.ts";
import type { BucketOverview, QuarantineSteps } from "./quarantine.ts";
import type { Retention } from "./retention.ts";
import type { TroubleSteps } from "./troubles.ts";

/**
 * What a gateway remembers: what no bucket can take back. An interface of steps, each one transaction that
 * is durable when its promise resolves; a step that rejects has changed nothing, but for `STATE_DAMAGED`: then
 * it is not known. It never speaks of SQL, so that a server database can be a driver as well.
 *
 * What may be found out again is `relaxed`: every process sees it at once and it outlives them all, but the
 * machine may lose it with its power, the latest first, until the next durable step. Other processes may see
 * a durable step a moment before it is durable, too: who does something outside for what it has only read,
 * takes `sync` first.
 *
 * Steps reject with `STATE_BUSY` (another process held it too long: try again), `STATE_FULL` (no room),
 * `STATE_READ_ONLY`, `STATE_DAMAGED`, or with what a passed function throws (then nothing is committed).
 *
 * Functions that are passed in are synchronous and pure: they decide from the view, inside the transaction,
 * and take no step themselves. What is passed in and what comes out are copies: nobody else holds them.
 */
export interface State extends OutboxSteps, QuarantineSteps, TroubleSteps {
  /**
   * Decides about one request from what is known of it; writes what the decision says. A written receipt is
   * of this request, has an ending exactly when it is `ended`, and never leaves `ended`; else `INTERNAL`.
   */
  stepRun<T>(
    run: SteppedRun,
    decide: (view: RunView) => RunStep<T>,
    options?: StepOptions,
  ): Promise<T>;
  /** A receipt as it stands, or undefined. */
  receipt(ref: RunRef): Promise<Receipt | undefined>;
  /** The receipt that a cancel is about: of the run it names, under the request it names; or undefined. */
  receiptOfCancel(target: CancelTarget): Promise<Receipt | undefined>;
  /** Receipts with their requests, the latest received first. */
  receipts(filter: { readonly limit: number }): Promise<readonly Receipt[]>;
  /** All receipts under a run's name, whoever sent it, in order of receivedMs. */
  receiptsNamed(runId: RunId): Promise<readonly Receipt[]>;
  /** What is still to be done, in order of (receivedMs, runId): only what names it, however large it is. */
  receiptRefs(filter: RefFilter): Promise<readonly RunRef[]>;
  /** The workers that open receipts name. */
  openWorkers(): Promise<ReadonlySet<WorkerId>>;

  /** Makes durable whatever was relaxed before, by any process. */
  sync(): Promise<void>;

  /** Commits an owner nonce before the claim that carries it is published. */
  commitOwnerNonce(nonce: string): Promise<void>;
  knowsOwnerNonce(nonce: string): Promise<boolean>;
  /**
   * Records what a look at the owner keys found. It never lowers what is known: the highest generation and
   * the latest look stand, and `elsewhere` stays until `recover`. When the first claim of a recovered state is
   * noted, `born` becomes now. A look that began from another `born` is void.
   */
  noteOwner(look: OwnerLook): Promise<void>;
  owner(): Promise<OwnerView>;

  /** Remembers the highest version seen of a document; `rolled-back` when `version` is lower. */
  seeVersion(document: string, version: number): Promise<"fine" | "rolled-back">;
  /** The highest version seen of a document, 0 for none; remembers nothing. */
  seenVersion(document: string): Promise<number>;
  /** Counts up and returns the next number of a series (card versions), from 1. */
  nextNumber(series: string): Promise<number>;

  /** Remembers that a pass has ended; of each kind, the last one noted stands. */
  notePass(pass: EndedPass): Promise<void>;
  /** All that a status screen counts, as of one moment; it reads no request and no kept bytes. */
  overview(): Promise<Overview>;

  /** The highest clock value that any committed step has seen. */
  highestClockMs(): Promise<number>;
  /** Deletes what retention no longer keeps: at most `limit` rows; says how many of each. */
  collect(options: CollectOptions): Promise<Collected>;
  /**
   * Makes this state the one that serves the name: `born` = now, nothing counts as received, sent, refused, over or
   * gone wrong later (what became `unknown` later is open again), a look or claim of before is void, `elsewhere` is
   * cleared, committed nonces are forgotten (whoever else holds them is a stranger from here on), and the generation
   * stays. Answers with all open receipts.
   */
  recover(): Promise<{ readonly bornMs: number; readonly open: readonly Receipt[] }>;
  close(): Promise<void>;
}

export interface SteppedRun extends RunRef {
  /** An earlier run of the same sender that the step wants to know of as well. */
  readonly continues?: RunId | null;
}

/** What a cancel says of its request. */
export type CancelTarget = Pick<CancelName, "from" | "runId" | "digest16">;

/**
 * What a step about one request can see. However much the sender has sent, under the same run or others, it
 * costs about the same; what only admission needs is looked up when it is asked for.
 */
export interface RunView {
  /** The clock, read inside the transaction after `highestClockMs`. */
  readonly nowMs: number;
  /** The highest clock value any committed step of this state has seen before. */
  readonly highestClockMs: number;
  readonly owner: OwnerView;
  /** The request's own receipt, or undefined. */
  readonly receipt: Receipt | undefined;
  /** Looked up: whether another digest's receipt of the same run stands in the way (SPEC.md, Receipts). */
  readonly blocked: boolean;
  /** Looked up: the receipt of (from, `continues`) that was admitted, if there is one. */
  readonly continued: Pick<Receipt, "tenant"> | undefined;
  /**
   * Looked up: the sender's other runs that have not ended (grants aside), all its receipts of the last minute,
   * and those with a terminal not yet known to be in the store.
   */
  readonly peer: {
    readonly openRuns: number;
    readonly receivedLastMinute: number;
    readonly unpublished: number;
  };
}

/** A step's decision: what to answer, and the one receipt to write, if any. */
export interface RunStep<T> {
  readonly answer: T;
  readonly write?: Receipt;
  /** The write is relaxed, where the step may be. */
  readonly relaxed?: boolean;
}

export interface StepOptions {
  /** Spares the wait for the disk where the decision says `relaxed`; any other is decided once more. */
  readonly mayRelax?: boolean;
}

export interface RefFilter {
  readonly limit: number;
  /** `open`: admitted or running; `unacknowledged`: ended, with a terminal not yet known to be in the store. */
  readonly are: "open" | "unacknowledged";
}

export interface OwnerLook {
  /** `born` as the view said that the look began from. */
  readonly bornMs: number;
  /** When the look began: before the first key was listed. */
  readonly begunMs: number;
  /** The highest generation that verified, 0 for none. */
  readonly generation: number;
  /** When our own claim at that generation was made, if it is ours. */
  readonly claimedMs: number | null;
  /** A verified generation carries a nonce that this state never committed. */
  readonly elsewhere: boolean;
}

export interface OwnerView {
  /**
   * When the state was last recovered, or claimed the name first after that; 0 if never: requests signed before may
   * have been run and forgotten.
   */
  readonly bornMs: number;
  /** The state was recovered and has not looked since: then the claims that stand are past ones. */
  readonly recovering: boolean;
  /** The state was recovered and has not claimed the name since. */
  readonly unclaimed: boolean;
  /** Null when no look has been recorded. */
  readonly lookMs: number | null;
  readonly generation: number;
  readonly claimedMs: number | null;
  readonly elsewhere: boolean;
}

export interface EndedPass {
  /** When it ended. */
  readonly atMs: number;
  /** The error code it failed with; null when it went well. */
  readonly code: string | null;
}

export interface Overview {
  readonly received: ReceivedOverview;
  readonly asked: AskedOverview;
  /** In order of the buckets' names. */
  readonly quarantine: readonly BucketOverview[];
  readonly owner: OwnerView;
  /** The highest clock value that any committed step has seen. */
  readonly highestClockMs: number;
  /** Null before the first. */
  readonly lastPass: EndedPass | null;
  /** When the last pass that went well ended; null before the first. */
  readonly lastGoodPassMs: number | null;
}

/** How many receipts stand how. */
export interface ReceivedOverview {
  readonly admitted: number;
  readonly running: number;
  /** All that have ended. */
  readonly ended: number;
  /** Of the ended ones, those whose terminal is not yet known to be in the store. */
  readonly unpublished: number;
  /** When the first received of the admitted and running ones came; null when there is none. */
  readonly oldestOpenMs: number | null;
}

export interface CollectOptions extends Retention {
  /** All kinds together; an outbox record counts as one with its transcript. */
  readonly limit: number;
  /** Report what would go, and delete nothing. */
  readonly dryRun?: boolean;
}

export interface Collected {
  readonly receipts: number;
  readonly outbox: number;
  readonly quarantine: number;
  readonly troubles: number;
}
