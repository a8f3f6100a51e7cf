import { asPosternError, type ErrorCode, type PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { requireTrust } from "../mailbox/grants.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { stateElsewhere } from "../mailbox/owner.ts";
import { Asker } from "./asker.ts";
import { Pace, type PaceBounds } from "./pace.ts";
import { collectSlice, sweepNowAndThen } from "./poll.ts";
import { Responder, type Responded, type ResponderOptions } from "./responder.ts";
import { Troubles, type Part } from "./troubles.ts";

export interface ServeOptions extends ResponderOptions, PaceBounds {
  /** How long runs may go on after `signal`; then they end `interrupted`. In milliseconds. */
  readonly graceMs: number;
  /** Takes nothing new from here on. */
  readonly signal: AbortSignal;
  /** Ends the grace at once. */
  readonly haste?: AbortSignal;
}

export interface ServeReport extends Responded {
  /** Runs asked from here that were closed. */
  readonly closed: number;
  readonly collected: number;
}

/**
 * Serves a gateway until it is told to stop: answers what comes in, sends again and closes what was asked
 * from here, and drops what retention no longer keeps. Any number of processes may serve one home.
 *
 * What passes by itself or by an operator's hand (a store that is away, a trust document that has expired, a
 * full disk) is logged and tried again. Rejects with what does not pass, after what runs has come to its end:
 * `STATE_ELSEWHERE`, `STATE_DAMAGED`, `STATE_MISSING`, `STATE_UNSAFE`, `STATE_UNSUPPORTED`, `INTERNAL`.
 */
export async function serve(box: Mailbox, options: ServeOptions): Promise<ServeReport> {
  return new Service(box, options).run();
}

class Service {
  readonly #box: Mailbox;
  readonly #options: ServeOptions;
  readonly #responder: Responder;
  readonly #asker: Asker;
  readonly #troubles: Troubles;
  readonly #pace: Pace;
  readonly #over = new AbortController();
  #failure: PosternError | undefined;
  #collected = 0;

  constructor(box: Mailbox, options: ServeOptions) {
    this.#box = box;
    this.#options = options;
    this.#troubles = new Troubles(box);
    this.#responder = new Responder(box, options, this.#troubles);
    this.#asker = new Asker(box, options, this.#troubles);
    this.#pace = new Pace(options);
  }

  async run(): Promise<ServeReport> {
    const { signal, haste } = this.#options;
    const end = (): void => this.#over.abort();
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    const stop = (): void => this.#responder.runs.stop();
    haste?.addEventListener("abort", stop, { once: true });
    try {
      await Promise.all([
        this.#repeat("answering", () => this.#answer()),
        this.#repeat("asking", () => this.#ask()),
        this.#repeat("tidying", () => this.#tidy()),
      ]);
      await this.#windUp();
    } finally {
      await this.#troubles.tell({ last: true });
      signal.removeEventListener("abort", end);
      haste?.removeEventListener("abort", stop);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return { ...this.#responder.counts, closed: this.#asker.closed, collected: this.#collected };
  }

  /** Does the same until the service is over. `work` says how long to wait. */
  async #repeat(part: Part, work: () => Promise<Wait>): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      const { ms, wake = neverAborted } = await this.#spared(part, work);
      await this.#troubles.tell();
      if (ms > 0) await this.#box.clock.sleep(ms, AbortSignal.any([signal, wake]));
    }
  }

  async #spared(part: Part, work: () => Promise<Wait>): Promise<Wait> {
    try {
      const wait = await work();
      this.#troubles.ended(part);
      return wait;
    } catch (thrown) {
      const error = asPosternError(thrown);
      this.#troubles.ended(part, error);
      if (lastingCodes.has(error.code)) {
        this.#failure ??= error;
        this.#over.abort();
      } else {
        const { code, message: reason } = error;
        this.#box.log.warn({ code, reason }, "not now: it is tried again");
      }
      return { ms: this.#delayAfterFailure() };
    }
  }

  /** The longest, unless runs are at work: their cancels, and what is granted, are to be looked at soon. */
  #delayAfterFailure(): number {
    const { maxDelayMs } = this.#options;
    return this.#responder.runs.size > 0 ? Math.min(maxDelayMs, limits.runDelayMs) : maxDelayMs;
  }

  async #answer(): Promise<Wait> {
    const responder = this.#responder;
    const before = somethingOf(responder);
    if ((await this.#box.state.owner()).elsewhere) throw stateElsewhere(this.#box);
    await requireTrust(this.#box);
    await responder.recover(this.#mayStart);
    await responder.scan(this.#mayStart);
    responder.takeProblems();
    if (somethingOf(responder) > before) this.#pace.found();
    else this.#pace.foundNothing(responder.runs.size > 0 ? limits.runDelayMs : Infinity);
    const ms = this.#pace.delayMs(this.#box.random.fraction());
    return responder.hasWaiting ? { ms, wake: responder.runs.wake } : { ms };
  }

  /** What other processes of the home ask meanwhile is met at the latest after the longest delay. */
  async #ask(): Promise<Wait> {
    const { minDelayMs, maxDelayMs } = this.#options;
    const nextMs = await this.#asker.look(this.#over.signal);
    this.#asker.takeProblems();
    return { ms: Math.min(maxDelayMs, Math.max(minDelayMs, nextMs)) };
  }

  async #tidy(): Promise<Wait> {
    try {
      await sweepNowAndThen(this.#box);
    } finally {
      this.#collected += await collectSlice(this.#box);
    }
    return { ms: limits.serveCollectMs };
  }

  readonly #mayStart = (): boolean => !this.#over.signal.aborted;

  /** Lets what runs go on for the grace, then ends it. Where this state serves no longer, that is at once. */
  async #windUp(): Promise<void> {
    const responder = this.#responder;
    const settled = responder.runs.settled();
    const done = new AbortController();
    const markDone = settled.then(() => done.abort());
    if (this.#failure === undefined)
      await this.#box.clock.sleep(this.#options.graceMs, done.signal);
    responder.runs.stop();
    await markDone;
  }
}

interface Wait {
  readonly ms: number;
  /** Ends the wait. */
  readonly wake?: AbortSignal;
}

const neverAborted = new AbortController().signal;

/** Grows with whatever the store held for this gateway. */
function somethingOf({ counts }: Responder): number {
  return counts.admitted + counts.takenOver + counts.answered + counts.quarantined;
}

const lastingCodes: ReadonlySet<ErrorCode> = new Set([
  "STATE_ELSEWHERE",
  "STATE_DAMAGED",
  "STATE_MISSING",
  "STATE_UNSAFE",
  "STATE_UNSUPPORTED",
  "INTERNAL",
]);
