import { setImmediate } from "node:timers/promises";
import { errnoOf } from "../base/errno.ts";

/** The first failure to write stdout. Node forgets it: a standard stream is never closed for good. */
let failure: unknown;

/**
 * Keeps a stdout or stderr that cannot be written from ending the process in the middle of something. What
 * cannot be said on stderr is said nowhere; of stdout, `outputFailure` tells.
 */
export function tolerateUnwritable(): void {
  // In front of the listener of oclif, which throws what it hears.
  process.stdout.prependListener("error", (error) => {
    failure ??= error;
  });
  process.stderr.on("error", () => undefined);
}

/** Calls `heard` when stdout cannot be written. */
export function onUnwritable(heard: () => void): void {
  process.stdout.prependOnceListener("error", heard);
}

/** Why stdout could not be written, once all that was written has gone or failed; undefined where it could. */
export async function outputFailure(): Promise<unknown> {
  // Not even an empty text may be written where a command had nothing to say: a full disk refuses that as well.
  if (process.stdout.writableLength > 0) {
    await new Promise<void>((resolve) => {
      process.stdout.write("", () => resolve());
    });
  }
  await setImmediate();
  return failure;
}

/** Whether `thrown` is a failure of stdout, thrown on by another listener. */
export function isOutputFailure(thrown: unknown): boolean {
  return failure !== undefined && errnoOf(thrown) === errnoOf(failure);
}

/** Whether stdout was a pipe whose reader went away, as `head` does when it has seen enough. */
export function isReaderGone(): boolean {
  return errnoOf(failure) === "EPIPE";
}
