import { setTimeout as delay } from "node:timers/promises";
import type { SteppedClock } from "../support/stepped-clock.ts";

/** Lets time pass slowly, for what is at work in real time, until the promise settles. */
export async function drive<T>(clock: SteppedClock, promise: Promise<T>, stepMs = 5): Promise<T> {
  const end = { reached: false };
  const mark = (): void => {
    end.reached = true;
  };
  promise.then(mark, mark);
  while (!end.reached) {
    await clock.advance(stepMs);
    await delay(1);
  }
  return promise;
}
