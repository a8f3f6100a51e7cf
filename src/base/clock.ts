import { setTimeout as delay } from "node:timers/promises";

/** Time as everything in Postern sees it; passed in, so that tests and the simulation own it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /** Resolves after `ms` milliseconds, or at once when `signal` aborts; it never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (thrown) {
      if (signal?.aborted !== true) throw thrown;
    }
  },
};

/** Whole seconds since 1970, as claims and deadlines count. */
export function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
