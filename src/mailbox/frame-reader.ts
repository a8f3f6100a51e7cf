import { equalBytes } from "../base/bytes.ts";
import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import {
  chainOf,
  decodeFrames,
  noPrev,
  type Frame,
  type FramesPayload,
} from "../protocol/frame.ts";
import { digest16Of, framesPrefix, objectKey, parseObjectKey } from "../protocol/object-key.ts";
import type { OutboxRecord, ReadPosition, TranscriptEnvelope } from "../state/outbox.ts";
import { isOwnTrustCode } from "./grants.ts";
import { openFromPeer, type Mailbox } from "./mailbox.ts";
import { readObject } from "./read-object.ts";

/** A verified frame with its place in the run. */
export type PlacedFrame = Frame & { readonly attempt: number; readonly seq: number };

/** Is told why an envelope does not verify. */
export type OnRefused = (error: PosternError) => void;

export interface FrameReaderOptions {
  /** Where to go on from; without it, the first attempt is read from its beginning. */
  readonly from?: ReadPosition;
  readonly onRefused?: OnRefused;
}

interface ReadEnvelope extends TranscriptEnvelope {
  readonly payload: FramesPayload;
}

/**
 * Reads what a callee answers to one request, in order (SPEC.md, Reading frames). It predicts the next key;
 * it lists only to recover. Nothing that does not verify is believed, and nothing but a terminal ends a run.
 */
export class FrameReader {
  readonly #box: Mailbox;
  readonly #record: OutboxRecord;
  readonly #onRefused: OnRefused | undefined;
  #attempt: number;
  /** The number of the next frame, and the chain value of the envelope before it. */
  #seq: number;
  #prev: Uint8Array;
  #atMs: number | null;
  #isWhole: boolean;
  #envelopes: ReadEnvelope[] = [];
  #broken = false;
  #bytes = 0;

  constructor(box: Mailbox, record: OutboxRecord, options: FrameReaderOptions = {}) {
    const { from = beginningOf(1), onRefused } = options;
    this.#box = box;
    this.#record = record;
    this.#onRefused = onRefused;
    this.#attempt = from.attempt;
    this.#seq = from.seq;
    this.#prev = from.prev;
    this.#atMs = from.atMs;
    this.#isWhole = from.seq === 0;
  }

  get attempt(): number {
    return this.#attempt;
  }

  get position(): ReadPosition {
    return { attempt: this.#attempt, seq: this.#seq, prev: this.#prev, atMs: this.#atMs };
  }

  /** Whether the present attempt was read from its beginning. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** The verified envelopes of the present attempt, as they were. */
  get envelopes(): readonly TranscriptEnvelope[] {
    return this.#envelopes.map(({ key, envelope, kid, verifiedMs }) => ({
      key,
      envelope,
      kid,
      verifiedMs,
    }));
  }

  /**
   * The frames of the next envelope, or none when it is not there yet. Rejects with `FRAME_CHAIN_BROKEN`
   * when a signed envelope does not follow the one before it or says too much, with `TRUST_*` for an own trust document
   * that cannot be used, or as the store does.
   */
  async next(): Promise<readonly PlacedFrame[]> {
    if (this.#broken) return [];
    const read = await this.#read(this.#attempt, this.#seq);
    if (read === undefined) return [];
    if (!equalBytes(read.payload.prev, this.#prev)) {
      this.#broken = true;
      throw new PosternError(
        "FRAME_CHAIN_BROKEN",
        `${read.key} does not follow what came before it: attempt ${this.#attempt} cannot be read further`,
      );
    }
    this.#bytes += read.envelope.length;
    if (this.#bytes > limits.maxTranscriptBytes) {
      this.#broken = true;
      const what = `attempt ${this.#attempt} says more than ${limits.maxTranscriptBytes} bytes`;
      throw new PosternError("FRAME_CHAIN_BROKEN", `${what}: it is not read further`);
    }
    return this.#accept(read);
  }

  /**
   * Looks for the attempt after the present one, which a run that was taken over goes on with: the frames of
   * its first envelope, or none. The lower attempt is abandoned then.
   */
  nextAttempt(): Promise<readonly PlacedFrame[]> {
    return this.#firstOf([this.#attempt + 1]);
  }

  /** The same for any attempt above the present one, by listing. */
  async higherAttempt(): Promise<readonly PlacedFrame[]> {
    return this.#firstOf(await this.#higherAttempts());
  }

  async #firstOf(attempts: readonly number[]): Promise<readonly PlacedFrame[]> {
    for (const attempt of attempts.filter((each) => each <= limits.maxAttempt)) {
      const read = await this.#read(attempt, 0);
      if (read === undefined) continue;
      this.#attempt = attempt;
      this.#isWhole = true;
      this.#envelopes = [];
      this.#broken = false;
      this.#bytes = read.envelope.length;
      return this.#accept(read);
    }
    return [];
  }

  #accept(read: ReadEnvelope): PlacedFrame[] {
    this.#envelopes.push(read);
    this.#seq = read.payload.seq + read.payload.frames.length;
    this.#prev = chainOf(read.envelope);
    this.#atMs = read.payload.frames.at(-1)?.at ?? null;
    return placed(read.payload);
  }

  /**
   * Highest first, and no more of them than are worth reading: whoever writes there may make up all that can be
   * named. A real one is near the present attempt, or the last.
   */
  async #higherAttempts(): Promise<number[]> {
    const prefix = framesPrefix(this.#place());
    // Sorts after every key of that attempt, and before every key of a later one.
    const behind = (attempt: number): string => `${prefix}${String(attempt).padStart(4, "0")}-~`;
    const found = new Set<number>();
    let startAfter = behind(this.#attempt);
    for (let pages = 0; pages < limits.attemptPagesPerLook; pages += 1) {
      const query = { prefix, startAfter, limit: limits.listPageKeys };
      const { entries, more } = await this.#box.store.list(query);
      for (const { key } of entries) {
        const name = parseObjectKey(key);
        if (name?.kind === "frames" && name.seq === 0) found.add(name.attempt);
        startAfter = name?.kind === "frames" ? behind(name.attempt) : key;
      }
      if (!more) break;
    }
    const highestFirst = [...found].toSorted((a, b) => b - a);
    const half = limits.attemptsPerLook / 2;
    if (highestFirst.length <= 2 * half) return highestFirst;
    return [...highestFirst.slice(0, half), ...highestFirst.slice(-half)];
  }

  /** The verified envelope at one place; undefined when there is none that verifies. */
  async #read(attempt: number, seq: number): Promise<ReadEnvelope | undefined> {
    const key = objectKey({ kind: "frames", ...this.#place(), attempt, seq });
    const got = await readObject(this.#box.store, key);
    if (got.status === "absent") return undefined;
    try {
      if (got.status === "unreadable") throw got.error;
      return this.#verify(key, got.bytes, attempt, seq);
    } catch (thrown) {
      const error = asPosternError(thrown);
      if (isOwnTrustCode(error.code) || !isOfOneObject(error)) throw error;
      this.#box.log.warn({ key, code: error.code }, "frames do not verify and count as absent");
      this.#onRefused?.(error);
      return undefined;
    }
  }

  #verify(key: ObjectKey, envelope: Uint8Array, attempt: number, seq: number): ReadEnvelope {
    const { claims, kid, payload: plain } = openFromPeer(this.#box, "frames", key, envelope);
    const payload = decodeFrames(plain);
    const { to, runId, requestDigest } = this.#record;
    if (claims.iss !== to)
      throw new PosternError("ISSUER_MISMATCH", `signed by ${claims.iss}, asked of ${to}`);
    if (claims.aud !== this.#box.self)
      throw new PosternError("AUDIENCE_MISMATCH", "the frames are for another gateway");
    if (payload.runId !== runId || payload.requestDigest !== requestDigest) {
      throw new PosternError("FRAME_INVALID", "the frames answer another request");
    }
    if (payload.attempt !== attempt || payload.seq !== seq) {
      throw new PosternError(
        "FRAME_INVALID",
        "the frames lie under another place than they were signed for",
      );
    }
    return { key, envelope, kid, verifiedMs: this.#box.clock.now(), payload };
  }

  #place() {
    const { to, runId, requestDigest } = this.#record;
    return { to: this.#box.self, from: to, runId, digest16: digest16Of(requestDigest) };
  }
}

/** Where an attempt is read from its first frame on. */
export function beginningOf(attempt: number): ReadPosition {
  return { attempt, seq: 0, prev: noPrev, atMs: null };
}

function placed({ attempt, seq, frames }: FramesPayload): PlacedFrame[] {
  return frames.map((frame, index) => ({ ...frame, attempt, seq: seq + index }));
}

/** Whether a failure tells of one object, rather than of the store or of ourselves. */
function isOfOneObject(error: PosternError): boolean {
  return error.class === "trust" || error.code === "STORE_ENCODING";
}

/** The frames of a transcript's envelope, which was verified before it was stored. */
export function framesOfTranscript({ envelope }: TranscriptEnvelope): PlacedFrame[] {
  return placed(decodeFrames(parseEnvelope("frames", envelope).untrustedPayload));
}
