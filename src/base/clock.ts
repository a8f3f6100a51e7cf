import { limits } from "./limits.ts";

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
    // A timer that is set too far ahead goes off at once.
    for (let leftMs = ms; ; leftMs -= limits.longestSleepMs) {
      await timer(Math.min(leftMs, limits.longestSleepMs), signal);
      if (leftMs <= limits.longestSleepMs || signal?.aborted === true) return;
    }
  },
};

/** Not node:timers/promises: it makes an error with its stack for each wait that is given up. */
async function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timeout);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timeout = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** The later of two moments; null is one that has not been. */
export function latest(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}

/** Whole seconds since 1970, as claims and deadlines count. */
export function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
