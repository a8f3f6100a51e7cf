import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { encodeCbor } from "../protocol/cbor.ts";
import {
  chainOf,
  noPrev,
  type Frame,
  type FrameEvent,
  type TerminalPayload,
} from "../protocol/frame.ts";
import type { SignedTerminal } from "../protocol/receipt.ts";
import { retryableStoreCodes } from "../store/store.ts";
import type { Lease } from "./lease.ts";
import type { Mailbox } from "./mailbox.ts";
import { putExactly } from "./put-exactly.ts";
import { framesKey, signFrames } from "./terminal.ts";

/** Between two rounds of tries while the store cannot be reached. */
const storeDownDelayMs = 2000;

/**
 * Writes the frames of one attempt: gathers what comes within the window into one envelope, chains the
 * envelopes, and puts each only after the one before is known to stand. An envelope that was once tried is
 * tried again byte for byte.
 */
export class FrameWriter {
  readonly #box: Mailbox;
  readonly #lease: Lease;
  readonly #leaving: AbortSignal;
  readonly #pending: { readonly frame: Frame; readonly size: number }[] = [];
  #pendingBytes = 0;
  #writtenBytes = 0;
  #seq = 0;
  #envelopes = 0;
  #prev: Uint8Array = noPrev;
  #hurry = new AbortController();
  #writing: Promise<void> | undefined;
  /** Whether an envelope is on its way, so that what follows it cannot be signed yet. */
  #isPutting = false;
  #failed: PosternError | undefined;
  #finished = false;

  /** Once `leaving` aborts, an unreachable store is no longer waited for: what is pending is not written. */
  constructor(box: Mailbox, lease: Lease, leaving: AbortSignal) {
    this.#box = box;
    this.#lease = lease;
    this.#leaving = leaving;
  }

  /**
   * Takes one frame; it is in the store at the latest when `finish` resolves. Resolves once more may follow.
   * Rejects with `HANDLER_OUTPUT` past the bounds of a frame or of a run, and with `FRAME_CHAIN_BROKEN` once
   * other bytes were met at a key of this attempt: the attempt is over then.
   */
  async push(event: FrameEvent): Promise<void> {
    this.#throwIfFailed();
    // What is signed last is the terminal: nothing may come to lie in its place.
    if (this.#finished) throw new PosternError("HANDLER_OUTPUT", "nothing may follow the result");
    const frame: Frame = { ...event, at: this.#box.clock.now() };
    const size = frameSizeOf(frame);
    if (size > limits.maxFrameBytes) throw tooMuch("one frame", size, limits.maxFrameBytes);
    this.#writtenBytes += size;
    if (this.#writtenBytes > limits.maxRunOutputBytes) {
      throw tooMuch("the run", this.#writtenBytes, limits.maxRunOutputBytes);
    }
    this.#pending.push({ frame, size });
    this.#pendingBytes += size;
    this.#writing ??= this.#writeSoon();
    if (!this.#isFull()) return;
    this.#hurry.abort();
    await this.#writing;
    // The write loop may have ended on a failure: then nothing was written and nothing will be.
    this.#throwIfFailed();
  }

  /**
   * Signs the envelope that ends the attempt when nothing has to be written before it: then its owner can
   * commit outcome and end as one. Undefined otherwise, or when it comes to nothing: then `finish` does it.
   */
  sealed(payload: TerminalPayload): SignedTerminal | undefined {
    if (this.#isPutting || this.#failed !== undefined) return undefined;
    const frame: Frame = { event: "terminal", payload, at: this.#box.clock.now() };
    this.#finished = true;
    this.#hurry.abort();
    return this.#needsRoom(frame) ? undefined : this.#signTerminal(frame, payload);
  }

  /**
   * Signs the envelope that ends the attempt, once everything before it stands. The envelope is not put
   * here: its owner first commits that the run has ended. Rejects like `push`.
   */
  async finish(payload: TerminalPayload): Promise<SignedTerminal> {
    const frame: Frame = { event: "terminal", payload, at: this.#box.clock.now() };
    this.#finished = true;
    this.#hurry.abort();
    await this.#writing;
    this.#throwIfFailed();
    const together = this.#needsRoom(frame) ? undefined : this.#signTerminal(frame, payload);
    if (together !== undefined) return together;
    await this.#writeAll();
    this.#throwIfFailed();
    return this.#placed(this.#sign([frame]), payload);
  }

  #needsRoom(frame: Frame): boolean {
    return this.#isFull() || this.#pendingBytes + frameSizeOf(frame) > limits.maxFrameBytes;
  }

  /** What is pending and the terminal in one envelope; undefined when that has too many items. */
  #signTerminal(frame: Frame, payload: TerminalPayload): SignedTerminal | undefined {
    const envelope = this.#signIfFits([...this.#pending.map((pending) => pending.frame), frame]);
    return envelope && this.#placed(envelope, payload);
  }

  #placed(envelope: Uint8Array, payload: TerminalPayload): SignedTerminal {
    return { attempt: this.#lease.attempt, seq: this.#seq, envelope, payload };
  }

  #isFull(): boolean {
    return (
      this.#pendingBytes >= limits.frameFlushBytes ||
      this.#pending.length >= limits.maxFramesPerEnvelope - 1
    );
  }

  #throwIfFailed(): void {
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** As long as frames come, an envelope for each window of them. */
  async #writeSoon(): Promise<void> {
    while (this.#pending.length > 0 && this.#failed === undefined) {
      if (!this.#isFull() && !this.#finished)
        await this.#box.clock.sleep(this.#windowMs(), this.#hurry.signal);
      // `finish` takes what is pending along with the terminal.
      if (this.#finished && !this.#isFull()) break;
      this.#hurry = new AbortController();
      await this.#writeAll(this.#pending.length);
    }
    this.#writing = undefined;
  }

  async #writeAll(most = Infinity): Promise<void> {
    this.#isPutting = true;
    for (let left = most; left > 0 && this.#pending.length > 0 && this.#failed === undefined;) {
      try {
        const batch = this.#takeBatch();
        left -= batch.length;
        await this.#writeBatch(batch);
      } catch (thrown) {
        this.#failed = asPosternError(thrown);
      }
    }
    this.#isPutting = false;
  }

  /** As many of the pending frames, at least one, as one envelope holds. */
  #takeBatch(): Frame[] {
    let count = 0;
    let bytes = 0;
    for (const { size } of this.#pending) {
      if (count === limits.maxFramesPerEnvelope - 1) break;
      if (count > 0 && bytes + size > limits.maxFrameBytes) break;
      count += 1;
      bytes += size;
    }
    this.#pendingBytes -= bytes;
    return this.#pending.splice(0, count).map(({ frame }) => frame);
  }

  /** Halved until an envelope holds it: many small items fill one before their bytes do. */
  async #writeBatch(frames: readonly Frame[]): Promise<void> {
    const envelope = this.#signIfFits(frames);
    if (envelope !== undefined) return this.#write(frames, envelope);
    const half = Math.ceil(frames.length / 2);
    await this.#writeBatch(frames.slice(0, half));
    await this.#writeBatch(frames.slice(half));
  }

  async #write(frames: readonly Frame[], envelope: Uint8Array): Promise<void> {
    const key = framesKey(this.#box, this.#lease.run, this.#lease.attempt, this.#seq);
    while ((await this.#tryPut(key, envelope)) === "unreachable") {
      await this.#box.clock.sleep(storeDownDelayMs, this.#leaving);
    }
    this.#prev = chainOf(envelope);
    this.#seq += frames.length;
    this.#envelopes += 1;
  }

  #windowMs(): number {
    const more = Math.max(0, this.#envelopes - limits.envelopesAtFirst);
    return limits.frameWindowMs * 2 ** Math.ceil(more / limits.envelopesPerDoubling);
  }

  async #tryPut(
    key: ReturnType<typeof framesKey>,
    envelope: Uint8Array,
  ): Promise<"stands" | "unreachable"> {
    try {
      if ((await putExactly(this.#box.store, key, envelope)) === "ours") return "stands";
    } catch (thrown) {
      const passes = thrown instanceof PosternError && retryableStoreCodes.has(thrown.code);
      if (passes && !this.#leaving.aborted) {
        this.#box.log.warn(
          { key, code: thrown.code },
          "the store cannot be written now: trying again",
        );
        return "unreachable";
      }
      throw thrown;
    }
    throw new PosternError(
      "FRAME_CHAIN_BROKEN",
      `other bytes stand at ${key}: the attempt is over`,
    );
  }

  /** Undefined for several frames that have too many items for one envelope. */
  #signIfFits(frames: readonly Frame[]): Uint8Array | undefined {
    try {
      return this.#sign(frames);
    } catch (thrown) {
      if (frames.length > 1 && asPosternError(thrown).code === "CBOR_TOO_LARGE") return undefined;
      throw thrown;
    }
  }

  #sign(frames: readonly Frame[]): Uint8Array {
    const { run, attempt } = this.#lease;
    const { runId, requestDigest } = run;
    return signFrames(this.#box, run, {
      runId,
      requestDigest,
      attempt,
      seq: this.#seq,
      prev: this.#prev,
      frames,
    });
  }
}

/**
 * What a frame adds to an envelope, in bytes. Throws `HANDLER_OUTPUT` for one that has no form on the wire, or
 * that is nested too deeply or has too many items for an envelope of its own.
 */
export function frameSizeOf({ event, payload, at }: Frame): number {
  try {
    const frame = { event, payload: { ...payload }, at };
    return encodeCbor({ ...emptyEnvelope, frames: [frame] }).length - emptyBytes;
  } catch (thrown) {
    const cause = asPosternError(thrown);
    if (cause.class !== "trust") throw cause;
    throw new PosternError("HANDLER_OUTPUT", `a frame cannot be written: ${cause.message}`, {
      cause,
    });
  }
}

/** As many levels and items around the frames as a real envelope has. */
const emptyEnvelope = {
  v: 1,
  runId: "",
  requestDigest: "",
  attempt: 1,
  seq: 0,
  prev: "",
  frames: [],
};
const emptyBytes = encodeCbor(emptyEnvelope).length;

function tooMuch(what: string, size: number, most: number): PosternError {
  return new PosternError(
    "HANDLER_OUTPUT",
    `${what} put out ${size} bytes, and ${most} is the most`,
  );
}
