import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { formatDuration } from "./duration.ts";

/** How long somebody waits for something: until their time is up, or they interrupt. */
export class Patience implements Disposable {
  /** Aborts when the waiting is over. */
  readonly signal: AbortSignal;
  readonly #done = new AbortController();
  readonly #over: Promise<never>;

  /** Waits as long as it takes where `timeoutMs` is undefined. */
  constructor(clock: Clock, timeoutMs: number | undefined, interruption: AbortSignal) {
    const timeUp = new AbortController();
    if (timeoutMs !== undefined) void this.#watch(clock, timeoutMs, timeUp);
    this.signal = AbortSignal.any([timeUp.signal, interruption]);
    const { promise, reject } = Promise.withResolvers<never>();
    const end = (): void => reject(timeUp.signal.aborted ? timeout(timeoutMs) : interrupted());
    if (this.signal.aborted) end();
    else this.signal.addEventListener("abort", end, { once: true });
    this.#over = promise;
    // It is asked about only while something is awaited.
    this.#over.catch(() => undefined);
  }

  /**
   * What `work` comes to, unless the waiting is over before: then rejects with `WAIT_TIMEOUT`, or with
   * `CANCELLED` for an interruption, and `work` goes on unobserved.
   */
  async wait<T>(work: Promise<T>): Promise<T> {
    work.catch(() => undefined);
    return await Promise.race([work, this.#over]);
  }

  [Symbol.dispose](): void {
    this.#done.abort();
  }

  async #watch(clock: Clock, timeoutMs: number, timeUp: AbortController): Promise<void> {
    const untilMs = clock.now() + timeoutMs;
    for (let leftMs = timeoutMs; leftMs > 0; leftMs = untilMs - clock.now()) {
      await clock.sleep(Math.min(leftMs, limits.longestSleepMs), this.#done.signal);
      if (this.#done.signal.aborted) return;
    }
    timeUp.abort();
  }
}

function timeout(timeoutMs: number | undefined): PosternError {
  return new PosternError("WAIT_TIMEOUT", `no end within ${formatDuration(timeoutMs ?? 0)}`);
}

function interrupted(): PosternError {
  return new PosternError("CANCELLED", "interrupted");
}
