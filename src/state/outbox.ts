import { latest } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import type { GatewayName, ObjectKey, RequestDigest, RunId } from "../base/names.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { Retention } from "./retention.ts";

/** What a state remembers of the requests that its gateway made. */
export interface OutboxSteps {
  /** Remembers a request before it is sent, or says what stands in its place. */
  openOutbox(record: OutboxRecord): Promise<OpenedOutbox>;
  outboxRecord(runId: RunId): Promise<OutboxRecord | undefined>;
  /** Records with their requests, the latest opened first. */
  outboxRecords(filter: { readonly limit: number }): Promise<readonly OutboxRecord[]>;
  /** What is not closed: `open`, then `unknown`, each least recently sent first. */
  askedRuns(filter: { readonly limit: number }): Promise<readonly AskedRun[]>;
  /** Adds what was learned; relaxed but for a cancel. Rejects with `RUN_UNKNOWN` when there is no such record. */
  noteOutbox(asked: AskedRef, note: OutboxNote): Promise<void>;
  /**
   * Stores the transcript and closes the record, once: a second closer gets what is stored. Relaxed: see
   * `sync`. Rejects with `RUN_UNKNOWN` when there is no such record.
   */
  closeOutbox(
    asked: AskedRef,
    transcript: Transcript,
  ): Promise<{ status: "closed" | "stood"; transcript: Transcript }>;
  transcript(runId: RunId): Promise<Transcript | undefined>;
}

/** One request that was made: a run may be asked anew, with another request, once its record was collected. */
export type AskedRef = Pick<OutboxRecord, "runId" | "requestDigest">;

/** What the caller remembers of one request it made. */
export interface OutboxRecord {
  readonly runId: RunId;
  readonly to: GatewayName;
  readonly key: ObjectKey;
  readonly envelope: Uint8Array;
  readonly requestDigest: RequestDigest;
  /** The plain payload, CBOR. */
  readonly payload: Uint8Array;
  readonly intentDigest: string;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
  readonly deadline: number | null;
  readonly openedMs: number;
  /** When the request was last put; null before the first time. */
  readonly sentMs: number | null;
  /** Whether any verified frame has come. */
  readonly answered: boolean;
  /** Another object was met under the request's key. */
  readonly displaced: boolean;
  readonly state: "open" | "unknown" | "closed";
  readonly closedMs: number | null;
  readonly terminal: TerminalPayload | null;
  /** The signed cancel and its key, once the caller asked for one. */
  readonly cancel: { readonly key: ObjectKey; readonly envelope: Uint8Array } | null;
  /** How far verified frames were read without coming to an end; null before the first. Closing leaves it. */
  readonly read: ReadPosition | null;
}

/** A place in the frames of one run (SPEC.md, Reading frames). */
export interface ReadPosition {
  readonly attempt: number;
  /** The number of the frame that is expected next. */
  readonly seq: number;
  /** What the next envelope's `prev` must be: the chain value of the last one that was read. */
  readonly prev: Uint8Array;
  /** When the frame before it was said, in milliseconds by the callee's clock; null before the first, or where it is not known. */
  readonly atMs: number | null;
}

/**
 * The latest `sentMs` and the furthest `read` stand (the highest attempt, in it the highest seq), `answered`
 * stays true, and the first `cancel` stays: it is never signed again.
 */
export type OutboxNote = Partial<
  Pick<OutboxRecord, "sentMs" | "answered" | "displaced" | "cancel" | "read">
> & {
  /** Only from `open` to `unknown` and back; a closed record stays closed. */
  readonly state?: "open" | "unknown";
};

export interface OpenedOutbox {
  /** `following`: the same intent stands already; `conflict`: another one does. */
  readonly status: "opened" | "following" | "conflict";
  readonly record: OutboxRecord;
}

/** An asked run that is not closed. */
export interface AskedRun {
  readonly runId: RunId;
  readonly state: "open" | "unknown";
}

/** The audit record of one asked run: the verified envelopes as they were. */
export interface Transcript {
  readonly runId: RunId;
  readonly attempt: number;
  readonly terminal: TerminalPayload;
  readonly envelopes: readonly TranscriptEnvelope[];
  readonly closedMs: number;
}

export interface TranscriptEnvelope {
  readonly key: ObjectKey;
  readonly envelope: Uint8Array;
  /** Which key verified it (base32 thumbprint), and when. */
  readonly kid: string;
  readonly verifiedMs: number;
}

export interface StoredOutbox {
  readonly record: OutboxRecord;
  /** When it was closed or became `unknown`; null while it is open. */
  readonly settledMs: number | null;
}

/** How many asked runs stand how. */
export interface AskedOverview {
  readonly open: number;
  readonly unknown: number;
  readonly closed: number;
  /** When the first of the open ones was opened; null when there is none. */
  readonly oldestOpenMs: number | null;
}

/** The outbox as a driver keeps it. */
export interface Outbox {
  get(runId: RunId): StoredOutbox | undefined;
  /** In the reverse order of (openedMs, runId). */
  latest(limit: number): OutboxRecord[];
  /** In order of (state, sentMs with null first, openedMs, runId). */
  asked(limit: number): AskedRun[];
  overview(): AskedOverview;
  /** Settled ones that were kept until before `nowMs`, at most `limit`, in order of (kept until, runId). */
  old(nowMs: number, retention: Retention, limit: number): RunId[];
  put(stored: StoredOutbox): void;
  transcript(runId: RunId): Transcript | undefined;
  /** Only for a run that has none. */
  putTranscript(transcript: Transcript): void;
  /**
   * Says of all that was sent or closed later that it was then: by a clock that was ahead. What became `unknown`
   * later is open again: how long its answer is waited for is for the right clock to say.
   */
  dateUntil(nowMs: number): void;
  /** The record, and the transcript if there is one. */
  delete(runId: RunId): void;
}

/** What `State.openOutbox` does, inside its write. */
export function openOutbox(outbox: Outbox, asked: OutboxRecord): OpenedOutbox {
  const standing = outbox.get(asked.runId)?.record;
  if (standing === undefined) {
    outbox.put({ record: asked, settledMs: null });
    return { status: "opened", record: asked };
  }
  const same = standing.intentDigest === asked.intentDigest;
  return { status: same ? "following" : "conflict", record: standing };
}

/** What `State.noteOutbox` does, inside its write. */
export function noteOutbox(outbox: Outbox, asked: AskedRef, note: OutboxNote, nowMs: number): void {
  const stored = requiredOutbox(outbox, asked);
  const noted = notedOutbox(stored, note, nowMs);
  if (noted !== stored) outbox.put(noted);
}

/** What `State.closeOutbox` does, inside its write. */
export function closeOutbox(
  outbox: Outbox,
  asked: AskedRef,
  transcript: Transcript,
): { status: "closed" | "stood"; transcript: Transcript } {
  const { record } = requiredOutbox(outbox, asked);
  const { runId } = record;
  if (transcript.runId !== runId) {
    throw new PosternError(
      "INTERNAL",
      `run ${runId} was closed with the transcript of ${transcript.runId}`,
    );
  }
  const standing = outbox.transcript(runId);
  if (standing !== undefined) return { status: "stood", transcript: standing };
  outbox.putTranscript(transcript);
  outbox.put(closedOutbox(record, transcript));
  return { status: "closed", transcript };
}

function requiredOutbox(outbox: Outbox, { runId, requestDigest }: AskedRef): StoredOutbox {
  const stored = outbox.get(runId);
  if (stored?.record.requestDigest === requestDigest) return stored;
  throw new PosternError(
    "RUN_UNKNOWN",
    `this request of run ${runId} is not remembered here: it was never sent, or collected`,
  );
}

/** What stands after a note; the same object when it says nothing new. */
function notedOutbox(stored: StoredOutbox, note: OutboxNote, nowMs: number): StoredOutbox {
  const { record } = stored;
  const state = record.state === "closed" ? "closed" : (note.state ?? record.state);
  const noted: OutboxRecord = {
    ...record,
    sentMs: latest(record.sentMs, note.sentMs ?? null),
    answered: record.answered || (note.answered ?? false),
    displaced: note.displaced ?? record.displaced,
    cancel: record.cancel ?? note.cancel ?? null,
    read: furthest(record.read, note.read ?? null),
    state,
  };
  const changed =
    noted.sentMs !== record.sentMs ||
    noted.answered !== record.answered ||
    noted.displaced !== record.displaced ||
    noted.cancel !== record.cancel ||
    noted.read !== record.read ||
    state !== record.state;
  if (!changed) return stored;
  if (state === record.state) return { record: noted, settledMs: stored.settledMs };
  return { record: noted, settledMs: state === "unknown" ? nowMs : null };
}

function closedOutbox(record: OutboxRecord, transcript: Transcript): StoredOutbox {
  const { closedMs, terminal } = transcript;
  return { record: { ...record, state: "closed", closedMs, terminal }, settledMs: closedMs };
}

function furthest(one: ReadPosition | null, other: ReadPosition | null): ReadPosition | null {
  if (one === null || other === null) return one ?? other;
  const isFurther =
    other.attempt > one.attempt || (other.attempt === one.attempt && other.seq > one.seq);
  return isFurther ? other : one;
}
