import type { RunId } from "../base/names.ts";
import { PosternError } from "../base/errors.ts";
import { follow as followFrames } from "../mailbox/follow.ts";
import type { PlacedFrame } from "../mailbox/frame-reader.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { cancelRun } from "../mailbox/send.ts";
import type { JsonValue } from "../protocol/fields.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { RequestBody } from "../protocol/request.ts";
import { ask, deliver, deliverInTime, type Ask } from "./ask.ts";
import type { Gateway } from "./gateway.ts";

/** What is asked, of whom. Exactly one of `prompt` and `toolCall`. */
export type CallRequest = Omit<Ask, "body"> &
  (
    | { readonly prompt: string; readonly toolCall?: never }
    | {
        readonly toolCall: { readonly name: string; readonly input: JsonValue };
        readonly prompt?: never;
      }
  );

/** What asking needs of an opened gateway. */
export type Asking = Pick<Gateway, "mailbox" | "routes">;

export interface WaitOptions {
  /** Ends the waiting, with its reason; the run goes on, and can be followed again. */
  readonly signal?: AbortSignal;
}

/** A request that was made. */
export interface Sent {
  readonly runId: RunId;
  /** Names this piece of work: the same key and request are the same run, whoever asks again and when. */
  readonly idempotencyKey: string;
}

/**
 * A run that is followed to its end, or until the signal aborts. Iterating yields its verified frames from
 * the first one on, as often as one likes; when `attempt` rises, what came before is abandoned.
 */
export interface Call extends AsyncIterable<PlacedFrame> {
  readonly runId: RunId;
  /**
   * How the run ended, whatever its status. Rejects with the signal's reason, with `OUTCOME_UNKNOWN` when
   * neither an answer nor time to wait for one is left, with `FRAME_CHAIN_BROKEN`, `TRUST_*`, or as store and
   * state do; the iteration then ends in the same way.
   */
  readonly result: Promise<TerminalPayload>;
  /** Asks the callee to stop. The run still ends in what the callee answers. */
  cancel(): Promise<void>;
}

/**
 * Commits a request and puts it into the callee's inbox, without waiting for an answer. Rejects with
 * `TARGET_UNKNOWN`, `NAME_INVALID`, `PEER_UNKNOWN`, `KEY_REVOKED`, `KEY_OUTSIDE_WINDOW`, `TRUST_*`,
 * `IDEMPOTENCY_CONFLICT`, `TTL_INVALID`, `PAYLOAD_INVALID`, `STATE_ELSEWHERE`, `EXPIRED` for one that was committed
 * before and could not be put in its time, with the signal's reason, or as store and state do. Once it is committed
 * it is kept: after a rejection of class `store` a later pass sends it, and after `STATE_DAMAGED` perhaps.
 */
export async function send(
  gateway: Asking,
  request: CallRequest,
  { signal }: WaitOptions = {},
): Promise<Sent> {
  signal?.throwIfAborted();
  const asked = await commit(gateway, request);
  await unlessAborted(deliverInTime(gateway.mailbox, asked), signal);
  return { runId: asked.record.runId, idempotencyKey: asked.idempotencyKey };
}

/**
 * Commits a request, and sends and follows it. Rejects like `send`, except that a store that cannot be reached, or
 * could not be in time, is the call's affair: it comes with `result`.
 */
export async function call(
  gateway: Asking,
  request: CallRequest,
  { signal }: WaitOptions = {},
): Promise<Call & Sent> {
  signal?.throwIfAborted();
  const asked = await commit(gateway, request);
  const { idempotencyKey, record } = asked;
  const delivered = deliver(gateway.mailbox, asked);
  const following = new Following(gateway.mailbox, record.runId, delivered, signal);
  return Object.assign(following, { idempotencyKey });
}

/** Follows a run that was asked from this home: again, from its start. Rejects through `result`, with `RUN_UNKNOWN` too. */
export function follow(gateway: Asking, runId: RunId, { signal }: WaitOptions = {}): Call {
  return new Following(gateway.mailbox, runId, Promise.resolve(), signal);
}

/** Asks the callee to stop a run. Rejects with `RUN_UNKNOWN`, `STATE_ELSEWHERE`, the signal's reason, or as store and state do. */
export async function cancel(
  gateway: Asking,
  runId: RunId,
  { signal }: WaitOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  await unlessAborted(cancelRun(gateway.mailbox, runId), signal);
}

function commit({ mailbox, routes }: Asking, { prompt, toolCall, ...request }: CallRequest) {
  return ask(mailbox, routes, { ...request, body: bodyOf(prompt, toolCall) });
}

function bodyOf(prompt: CallRequest["prompt"], toolCall: CallRequest["toolCall"]): RequestBody {
  if (toolCall !== undefined && prompt === undefined) return { kind: "toolCall", toolCall };
  if (prompt !== undefined && toolCall === undefined)
    return { kind: "prompt", prompt: { text: prompt } };
  throw new PosternError("REQUEST_INVALID", "ask for exactly one of `prompt` and `toolCall`");
}

/** Rejects with the signal's reason once it aborts; `work` then goes on unobserved. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const end = (): void => reject(signal.reason);
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** Reads a run once, for any number of readers. */
class Following implements Call {
  readonly runId: RunId;
  readonly result: Promise<TerminalPayload>;
  readonly #box: Mailbox;
  /** Of the present attempt alone, so that their number has a bound. */
  #frames: PlacedFrame[] = [];
  #attempt = 1;
  #over = false;
  /** Resolves, and is replaced, whenever there is more to read. */
  #more = Promise.withResolvers<void>();

  constructor(box: Mailbox, runId: RunId, begun: Promise<void>, signal: AbortSignal | undefined) {
    this.#box = box;
    this.runId = runId;
    this.result = unlessAborted(this.#read(begun, signal), signal).finally(() => {
      this.#over = true;
      this.#more.resolve();
    });
    // Who only iterates is told by the iteration.
    this.result.catch(() => undefined);
  }

  cancel(): Promise<void> {
    return cancelRun(this.#box, this.runId);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PlacedFrame, void> {
    let attempt = this.#attempt;
    for (let next = 0; ;) {
      if (attempt !== this.#attempt) [attempt, next] = [this.#attempt, 0];
      const frame = this.#frames[next];
      if (frame !== undefined) {
        next += 1;
        yield frame;
      } else if (this.#over) {
        await this.result;
        return;
      } else await this.#more.promise;
    }
  }

  async #read(begun: Promise<void>, signal: AbortSignal | undefined): Promise<TerminalPayload> {
    await begun;
    const frames = followFrames(this.#box, this.runId, signal === undefined ? {} : { signal });
    for (;;) {
      const step = await frames.next();
      if (step.done !== true) {
        this.#take(step.value);
        continue;
      }
      if (step.value.status === "closed") return step.value.terminal;
      if (step.value.status === "open") throw signal?.reason;
      throw new PosternError(
        "OUTCOME_UNKNOWN",
        "neither an answer nor time to wait for one is left; it may have run, and a late answer still counts",
      );
    }
  }

  #take(frame: PlacedFrame): void {
    // Whoever waits was told that it is over.
    if (this.#over) return;
    if (frame.attempt !== this.#attempt) this.#frames = [];
    this.#attempt = frame.attempt;
    this.#frames.push(frame);
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}
