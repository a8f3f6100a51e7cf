import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Handler } from "../handlers/handler.ts";
import type { HandlerEvent, TerminalPayload } from "../protocol/frame.ts";
import type { Receipt } from "../protocol/receipt.ts";
import type { RequestPayload } from "../protocol/request.ts";
import { readCancel } from "../mailbox/cancel.ts";
import { heldReceipt, leaseOf, nextAttempt, type Lease } from "../mailbox/lease.ts";
import { standingDenialOf, type MaxRunOf } from "../mailbox/grants.ts";
import { commitEnd, commitOutcome, endedReceipt, publishEnding } from "../mailbox/end.ts";
import { FrameWriter, frameSizeOf } from "../mailbox/frame-writer.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { ensureOwner, requireOwner } from "../mailbox/owner.ts";
import { commitStart } from "../mailbox/start.ts";
import { failure, signBareTerminal } from "../mailbox/terminal.ts";

/** Why a running handler is told to stop before it is done. */
export type StopReason = "cancelled" | "deadline" | "too-long" | "stopping" | "revoked";

export interface RunOptions {
  readonly receipt: Receipt;
  readonly request: RequestPayload;
  readonly handler: Handler;
  readonly maxRunOf: MaxRunOf;
}

/**
 * One admitted run at work in this process: starts its handler, writes its frames, and ends it. Everything
 * it decides is committed first; when another worker has taken the run, it stops and publishes nothing.
 */
export class Run {
  readonly #box: Mailbox;
  readonly #options: RunOptions;
  readonly #lease: Lease;
  readonly #stop = new AbortController();
  readonly #leaving = new AbortController();
  #reason: StopReason | undefined;
  /** Resolves when nothing is left to do here; it rejects when the end could not be committed or published. */
  readonly done: Promise<void>;

  constructor(box: Mailbox, options: RunOptions) {
    this.#box = box;
    this.#options = options;
    this.#lease = leaseOf(options.receipt);
    this.done = this.#work();
  }

  get receipt(): Receipt {
    return this.#options.receipt;
  }

  /** Tells the handler to stop; the first reason counts. Who stops the gateway does not wait for the store. */
  stop(reason: StopReason): void {
    this.#reason ??= reason;
    if (reason === "stopping") this.#leaving.abort();
    this.#stop.abort();
  }

  async #work(): Promise<void> {
    // Whoever made the run may tell it to stop before anything of it begins.
    await Promise.resolve();
    if (this.#reason === "stopping") return;
    const started = await commitStart(this.#box, this.#lease, {
      cancelled: () => this.#reason === "cancelled",
      denial: () => this.#denial(),
    });
    if (started.status === "taken") return;
    if (started.status === "ended") return publishEnding(this.#box, started.receipt);

    const writer = new FrameWriter(this.#box, this.#lease, this.#leaving.signal);
    const outcome = await this.#handle(writer, started.receipt);
    const ended =
      (await this.#endAtOnce(writer, outcome)) ??
      ((await this.#commitOutcome(outcome)) ? await this.#end(writer, outcome) : undefined);
    if (ended !== undefined) await publishEnding(this.#box, ended);
  }

  /** Outcome and end in one commit, where nothing is left to write or to look at before; else undefined. */
  async #endAtOnce(writer: FrameWriter, outcome: TerminalPayload): Promise<Receipt | undefined> {
    try {
      const terminal = writer.sealed(outcome);
      return terminal && (await commitEnd(this.#box, this.#lease, terminal));
    } catch (thrown) {
      // Nothing is committed, unless the disk failed: the outcome alone is next, and what failed may fail there.
      if (asPosternError(thrown).code === "STATE_DAMAGED") throw thrown;
      return undefined;
    }
  }

  /** What the handler has done is not thrown away because the state was busy for a moment. */
  async #commitOutcome(outcome: TerminalPayload): Promise<boolean> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await commitOutcome(this.#box, this.#lease, outcome);
      } catch (thrown) {
        const busy = asPosternError(thrown).code === "STATE_BUSY";
        if (!busy || tries >= limits.storeAttempts) throw thrown;
      }
    }
  }

  /** Stops the handler when its caller asked for that. Rejects as `readCancel` does. */
  async hearCancel(): Promise<void> {
    if (await readCancel(this.#box, this.receipt)) this.stop("cancelled");
  }

  /** Stops the handler when the key that signed the request, or the grant for it, was withdrawn. */
  checkTrust(): void {
    if (this.#denial() !== undefined) this.stop("revoked");
  }

  #denial() {
    const { receipt, request, maxRunOf } = this.#options;
    return standingDenialOf(this.#box, receipt, request, maxRunOf);
  }

  async #handle(writer: FrameWriter, receipt: Receipt): Promise<TerminalPayload> {
    const watch = new AbortController();
    const timer = this.#watchTime(receipt, watch.signal);
    try {
      const { agent, attempt } = receipt;
      await writer.push({ event: "started", payload: { agent, attempt } });
      if (this.#reason !== undefined) return outcomeOfStop(this.#reason);
      const emit = (event: HandlerEvent): Promise<void> => writer.push(event);
      const { result } = await this.#options.handler.run(
        this.#workOf(receipt),
        emit,
        this.#stop.signal,
      );
      if (this.#reason !== undefined) return outcomeOfStop(this.#reason);
      const outcome: TerminalPayload = {
        status: "succeeded",
        ...(result === undefined ? {} : { result }),
      };
      requireSayable(outcome);
      return outcome;
    } catch (thrown) {
      if (this.#reason !== undefined) return outcomeOfStop(this.#reason);
      return this.#outcomeOfFailure(asPosternError(thrown));
    } finally {
      watch.abort();
      await timer;
    }
  }

  #workOf({ from, runId, agent, attempt, deadline }: Receipt) {
    return { runId, caller: from, agent, attempt, deadline, request: this.#options.request };
  }

  #outcomeOfFailure(error: PosternError): TerminalPayload {
    const { runId } = this.receipt;
    // What failed may be our own doing: then it is no answer of the handler's.
    if (error.code === "FRAME_CHAIN_BROKEN" || isOwnTrouble(error)) {
      this.#box.log.warn(
        { runId, code: error.code },
        "frames cannot be written: the run is interrupted",
      );
      return failure("interrupted", "INTERRUPTED", "its frames could not be written");
    }
    // Codes other than a handler's own would say something of the gateway that is not so.
    if (!error.code.startsWith("HANDLER_")) {
      this.#box.log.warn({ runId, err: error }, "a handler failed unexpectedly");
      return failure("failed", "HANDLER_FAILED", "the handler failed");
    }
    const message = error.message.slice(0, limits.maxErrorMessageBytes / 4).toWellFormed();
    return failure("failed", error.code, message);
  }

  /** Stops the handler at the deadline, and when the run takes longer than its agent may. */
  async #watchTime(receipt: Receipt, done: AbortSignal): Promise<void> {
    const nowMs = this.#box.clock.now();
    const deadlineMs = receipt.deadline === null ? Infinity : receipt.deadline * 1000;
    const longestMs = nowMs + receipt.maxRunMs;
    while (!done.aborted) {
      const leftMs = Math.min(deadlineMs, longestMs) - this.#box.clock.now();
      if (leftMs <= 0) return this.stop(deadlineMs <= longestMs ? "deadline" : "too-long");
      await this.#box.clock.sleep(Math.min(leftMs, limits.clockLookMs), done);
    }
  }

  /** The terminal follows the frames that stand; where those could not be written, it opens the next attempt. */
  async #end(writer: FrameWriter, outcome: TerminalPayload): Promise<Receipt | undefined> {
    try {
      const terminal = await writer.finish(outcome);
      await ensureOwner(this.#box);
      return await commitEnd(this.#box, this.#lease, terminal);
    } catch (thrown) {
      // Other bytes stand in the way, or the frames have no form on the wire: the attempt is over.
      if (asPosternError(thrown).class !== "trust") throw thrown;
    }
    await ensureOwner(this.#box);
    return this.#box.state.stepRun(this.#lease.run, (view) => {
      const receipt = heldReceipt(this.#lease, view);
      if (receipt === undefined) return { answer: undefined };
      requireOwner(view);
      const attempt = nextAttempt(receipt);
      const terminal = signBareTerminal(this.#box, receipt, attempt, outcome);
      const ended = endedReceipt({ ...receipt, attempt }, view.nowMs, terminal);
      return { answer: ended, write: ended };
    });
  }
}

/** What the store or the state failed at is the gateway's trouble, not the handler's. */
function isOwnTrouble({ code, class: kind }: PosternError): boolean {
  return kind === "store" || code.startsWith("STATE_");
}

function outcomeOfStop(reason: StopReason): TerminalPayload {
  switch (reason) {
    case "cancelled":
      return failure("cancelled", "CANCELLED", "cancelled by the caller");
    case "deadline":
      return failure("cancelled", "DEADLINE", "the deadline passed");
    case "too-long":
      return failure("cancelled", "DEADLINE", "the run took longer than its agent may");
    case "stopping":
      return failure("interrupted", "INTERRUPTED", "the gateway was stopped");
    case "revoked":
      return failure("interrupted", "NOT_GRANTED", "the caller's key or grant was withdrawn");
  }
}

/** An outcome that was committed must be possible to say: otherwise its run could never end. */
function requireSayable(outcome: TerminalPayload): void {
  const size = frameSizeOf({ event: "terminal", payload: outcome, at: 0 });
  if (size > limits.maxFrameBytes) {
    throw new PosternError(
      "HANDLER_OUTPUT",
      `the result has ${size} bytes, and ${limits.maxFrameBytes} is the most`,
    );
  }
}
