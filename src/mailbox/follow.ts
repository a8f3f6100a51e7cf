import { equalBytes } from "../base/bytes.ts";
import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey, RunId } from "../base/names.ts";
import { chainOf, type TerminalPayload } from "../protocol/frame.ts";
import { objectKey, parseObjectKey } from "../protocol/object-key.ts";
import type { OutboxRecord, ReadPosition, Transcript } from "../state/outbox.ts";
import {
  beginningOf,
  FrameReader,
  framesOfTranscript,
  type OnRefused,
  type PlacedFrame,
} from "./frame-reader.ts";
import type { Mailbox } from "./mailbox.ts";
import { repeatCancel, sendIfDue } from "./send.ts";

/** How following came to its end. */
export type Followed =
  | { readonly status: "closed"; readonly terminal: TerminalPayload }
  /** Neither an answer nor time to wait for one is left. A late answer still counts when it comes. */
  | { readonly status: "unknown" }
  /** Stopped by the signal, or after one look; the run goes on. */
  | { readonly status: "open" };

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /**
   * Return instead of waiting for more. Such a look goes on from where the last one came to, so that nothing
   * is read twice until the run can be closed; what it yields is what it read.
   */
  readonly once?: boolean;
  /** Told of each envelope that does not verify; it counts as absent. */
  readonly onRefused?: OnRefused;
}

/**
 * Yields the verified frames of a run from its start, sends the request again when that is due, and closes
 * the run at its terminal: the transcript is stored before the terminal is yielded. A closed run is told
 * again from its transcript. When `attempt` rises, what came before is abandoned.
 *
 * Throws `RUN_UNKNOWN`, `FRAME_CHAIN_BROKEN`, `TRUST_*`, or as store and state do; the run goes on then.
 */
export async function* follow(
  box: Mailbox,
  runId: RunId,
  options: FollowOptions = {},
): AsyncGenerator<PlacedFrame, Followed> {
  let record = await recordOf(box, runId);
  let reader = readerOf(box, record, options);
  /** The place behind what was told. */
  let told: ReadPosition | undefined;
  let reads = 0;
  /** The attempt that is read anew, as a whole, to close the run with it. */
  let closing = 0;
  for (let misses = 0; ; record = await sameRecord(box, record)) {
    if (record.state === "closed") return yield* replay(box, record, told);

    const silent = isSilentTooLong(record, reader.position, box.clock.now());
    // It goes on after all, or a clock that was ahead had called it unknown.
    if (!silent && record.state === "unknown")
      await box.state.noteOutbox(record, { state: "open" });
    const frames = await look(reader, silent, depthOf(box, misses, silent, options));
    misses = frames.length > 0 ? 0 : misses + 1;
    const final = frames.at(-1);
    const isEnd = final?.event === "terminal";
    if (isEnd && !reader.isWhole) {
      // The transcript takes every envelope of the attempt.
      closing = reader.attempt;
      const from = { ...beginningOf(closing), atMs: reader.position.atMs };
      reader = new FrameReader(box, record, { ...options, from });
    } else if (isEnd) {
      const { transcript, status } = await close(box, record, reader, final.payload);
      if (status === "stood") continue;
      try {
        yield* frames;
      } finally {
        await deleteFrames(box, transcript);
      }
      return { status: "closed", terminal: transcript.terminal };
    } else if (final !== undefined) {
      yield* frames;
      told = reader.position;
      if (!record.answered) await box.state.noteOutbox(record, { answered: true });
      reads += reader.attempt === closing ? 0 : 1;
      if (isEnough(reads, options)) {
        await box.state.noteOutbox(record, { read: told });
        return { status: "open" };
      }
    } else {
      const over = await afterSilence(box, record, { misses, silent, options });
      if (over === undefined) continue;
      if (told !== undefined) await box.state.noteOutbox(record, { read: reader.position });
      return over;
    }
  }
}

/** A single look goes on from where the last one came to. */
function readerOf(box: Mailbox, record: OutboxRecord, options: FollowOptions): FrameReader {
  const from = (options.once === true ? record.read : null) ?? beginningOf(1);
  return new FrameReader(box, record, { ...options, from });
}

/** A single look leaves the rest to the next one. */
function isEnough(reads: number, { once, signal }: FollowOptions): boolean {
  return signal?.aborted === true || (once === true && reads >= limits.envelopesPerLook);
}

interface Silence {
  readonly misses: number;
  /** Whether no time to wait is left. */
  readonly silent: boolean;
  readonly options: FollowOptions;
}

/** Nothing new was there: says again what was asked, and waits, unless following is over with that. */
async function afterSilence(
  box: Mailbox,
  record: OutboxRecord,
  { misses, silent, options }: Silence,
): Promise<Followed | undefined> {
  if (misses === 1) await repeatCancel(box, record);
  await sendIfDue(box, record);
  if (silent) {
    await box.state.noteOutbox(record, { state: "unknown" });
    return { status: "unknown" };
  }
  if (options.once !== true)
    await box.clock.sleep(delayAfter(misses, box.random.fraction()), options.signal);
  const isOver = options.once === true || options.signal?.aborted === true;
  return isOver ? { status: "open" } : undefined;
}

async function recordOf(box: Mailbox, runId: RunId): Promise<OutboxRecord> {
  const record = await box.state.outboxRecord(runId);
  if (record === undefined)
    throw new PosternError("RUN_UNKNOWN", `no run ${runId} was asked from here`);
  return record;
}

/** As it stands now. Whoever slept through retention may meet another request of the same run in its place. */
async function sameRecord(
  box: Mailbox,
  { runId, requestDigest }: OutboxRecord,
): Promise<OutboxRecord> {
  const record = await recordOf(box, runId);
  if (record.requestDigest === requestDigest) return record;
  const what = `this request of run ${runId} was collected, and another one has taken its place`;
  throw new PosternError("RUN_UNKNOWN", what);
}

/** Where a look goes besides the predicted key: to the next attempt, or to all above by listing. */
type Depth = "here" | "next-attempt" | "all-attempts";

/**
 * What is new at the predicted key; when nothing is there, in the attempts above. A broken chain leaves only
 * these to answer, and is nothing more than silence once there is no time left to wait.
 */
async function look(
  reader: FrameReader,
  silent: boolean,
  depth: Depth,
): Promise<readonly PlacedFrame[]> {
  try {
    const frames = await reader.next();
    if (frames.length > 0 || depth === "here") return frames;
    return depth === "next-attempt" ? await reader.nextAttempt() : await reader.higherAttempt();
  } catch (thrown) {
    if (asPosternError(thrown).code !== "FRAME_CHAIN_BROKEN") throw thrown;
    const above = await reader.higherAttempt();
    if (above.length === 0 && !silent) throw thrown;
    return above;
  }
}

/** Every so many fruitless looks. A single look has no count to go by: there chance keeps the rate of listing. */
function depthOf(
  box: Mailbox,
  misses: number,
  silent: boolean,
  { once = false }: FollowOptions,
): Depth {
  const { followLooksPerAttempt, followLooksPerList } = limits;
  const lists = once
    ? box.random.fraction() * followLooksPerList < 1
    : misses % followLooksPerList === followLooksPerList - 1;
  if (silent || lists) return "all-attempts";
  const goesOn = once || misses % followLooksPerAttempt === followLooksPerAttempt - 1;
  return goesOn ? "next-attempt" : "here";
}

/**
 * Whether neither an answer nor time to wait for one is left. A run that has begun to answer may think in
 * silence for as long as a run may take by default, counted from a moment that has been.
 */
function isSilentTooLong(record: OutboxRecord, { atMs }: ReadPosition, nowMs: number): boolean {
  const wanted = (record.deadline ?? record.exp) * 1000;
  const saidMs = atMs === null || atMs > nowMs + limits.skewMs ? 0 : atMs;
  const thinks = saidMs + limits.defaultMaxRunMs + limits.maxRunGraceMs;
  const until = record.deadline === null ? Math.max(wanted, thinks) : wanted;
  return nowMs > until + limits.unknownGraceMs;
}

/** Grows from the shortest to the longest delay, with up to a quarter of jitter. */
function delayAfter(misses: number, fraction: number): number {
  const delay = Math.min(
    limits.followMaxDelayMs,
    limits.followMinDelayMs * 1.5 ** Math.min(misses - 1, 16),
  );
  return delay * (1 - fraction / 4);
}

/** One transaction stores the transcript and closes the record; once it is durable, the frames may be deleted. */
function close(box: Mailbox, record: OutboxRecord, reader: FrameReader, terminal: TerminalPayload) {
  return box.state.closeOutbox(record, {
    runId: record.runId,
    attempt: reader.attempt,
    terminal,
    envelopes: reader.envelopes,
    closedMs: box.clock.now(),
  });
}

async function deleteFrames(box: Mailbox, transcript: Transcript): Promise<void> {
  try {
    await box.state.sync();
    for (const key of await keysToDelete(box, transcript)) await box.store.delete(key);
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "store" && error.code !== "STATE_BUSY") throw error;
    box.log.warn(
      { runId: transcript.runId, code: error.code },
      "frames of a closed run could not be deleted",
    );
  }
}

/** Lower attempts were abandoned, and nobody reads them any more: they go with the one that ended the run. */
async function keysToDelete(
  box: Mailbox,
  { attempt, envelopes }: Transcript,
): Promise<readonly ObjectKey[]> {
  const keys = envelopes.map(({ key }) => key);
  const [first] = keys;
  if (attempt === 1 || first === undefined) return keys;
  const prefix = first.slice(0, first.lastIndexOf("/") + 1);
  const page = await box.store.list({ prefix, limit: limits.listPageKeys });
  for (const { key } of page.entries) {
    const name = parseObjectKey(key);
    if (name?.kind === "frames" && name.attempt < attempt) keys.push(objectKey(name));
  }
  return keys;
}

/** What is left to tell of a closed run. */
async function* replay(
  box: Mailbox,
  record: OutboxRecord,
  told: ReadPosition | undefined,
): AsyncGenerator<PlacedFrame, Followed> {
  const transcript = await box.state.transcript(record.runId);
  if (transcript === undefined) {
    // Unless retention has taken both.
    await sameRecord(box, record);
    throw new PosternError("STATE_DAMAGED", `run ${record.runId} is closed without a transcript`);
  }
  if (told !== undefined && !goesOnFrom(transcript, told)) {
    const what = `attempt ${told.attempt} does not lead to how run ${record.runId} was closed`;
    throw new PosternError("FRAME_CHAIN_BROKEN", `${what}: follow it once more from its start`);
  }
  const from = told?.attempt === transcript.attempt ? told.seq : 0;
  for (const envelope of transcript.envelopes) {
    for (const frame of framesOfTranscript(envelope)) if (frame.seq >= from) yield frame;
  }
  return { status: "closed", terminal: transcript.terminal };
}

/** A callee that signs two answers may have shown one to each of two readers. */
function goesOnFrom({ attempt, envelopes }: Transcript, told: ReadPosition): boolean {
  if (told.attempt !== attempt) return told.attempt < attempt;
  return envelopes.some(({ envelope }) => equalBytes(chainOf(envelope), told.prev));
}
