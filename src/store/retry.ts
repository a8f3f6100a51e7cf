import pRetry from "p-retry";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { refuseAborted } from "./abort.ts";
import { aroundStore } from "./around.ts";
import { retryableStoreCodes, type Store } from "./store.ts";

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** All attempts of one call together; `limits.storeAttempts` unless told. */
  readonly attempts?: number;
}

/**
 * Repeats calls that failed with one of `retryableStoreCodes`, and a denied `put` a few times, with growing,
 * jittered waits, after those that the store asks for; but a call that is asked to wait for longer than
 * `limits.storeRetryMaxMs` fails at once. A `put` whose first attempt took effect but lost its response says
 * `exists` from the second one: whoever needs to know whose object lies there reads it back.
 */
export function retryStore(
  store: Store,
  { clock, random, attempts = limits.storeAttempts }: RetryOptions,
): Store {
  return aroundStore(store, ({ operation, name, signal }, run) =>
    pRetry(
      async () => {
        refuseAborted(signal, `${operation} ${name}`);
        return await run();
      },
      {
        retries: attempts - 1,
        // p-retry waits by the system's clock; the waiting is done below, by ours, and only before a retry.
        minTimeout: 0,
        shouldRetry: async ({ error, attemptNumber }) => {
          if (!(error instanceof PosternError)) return false;
          // MinIO says so, too, of a put that meets a delete which empties the folder above (minio/minio#15157).
          const mayBeRace = operation === "put" && error.code === "STORE_DENIED";
          const mostAttempts = mayBeRace ? limits.deniedPutAttempts : attempts;
          const passes = mayBeRace || retryableStoreCodes.has(error.code);
          const { retryAfterMs = 0 } = error;
          if (!passes || attemptNumber >= mostAttempts || retryAfterMs > limits.storeRetryMaxMs)
            return false;
          await clock.sleep(retryAfterMs + delayMs(attemptNumber, random), signal);
          return true;
        },
      },
    ),
  );
}

/** Between half and all of the doubled wait, so that those who failed together do not come back together. */
function delayMs(failedAttempts: number, random: Random): number {
  const longest = Math.min(
    limits.storeRetryMinMs * 2 ** (failedAttempts - 1),
    limits.storeRetryMaxMs,
  );
  return Math.round(longest * (0.5 + random.fraction() / 2));
}
