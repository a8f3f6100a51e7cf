import type { ErrorClass } from "../base/errors.ts";
import type { TerminalPayload } from "../protocol/frame.ts";

/** The exit status of a class of error codes: part of the command line's contract. */
const statusOfClass: Readonly<Record<ErrorClass, number>> = {
  run: 1,
  usage: 2,
  store: 3,
  trust: 4,
  conflict: 5,
  fault: 70,
  later: 75,
};

/** What SIGINT ends with, as a shell reports it: 128 and the signal's number. */
export const interruptedStatus = 130;

/**
 * When whoever read stdout went away: as a shell reports SIGPIPE, which ends other tools then. Not 0, because
 * what was asked for was not told to its end: `set -o pipefail` and `PIPESTATUS` show it.
 */
export const readerGoneStatus = 141;

export function exitStatusOf(failure: { readonly class: ErrorClass }): number {
  return statusOfClass[failure.class];
}

/** The exit status of a command that followed a run to this end. */
export function exitStatusOfTerminal(terminal: Pick<TerminalPayload, "status" | "error">): number {
  if (terminal.status === "succeeded") return 0;
  const conflict = terminal.status === "refused" && terminal.error?.code === "IDEMPOTENCY_CONFLICT";
  return conflict ? statusOfClass.conflict : statusOfClass.run;
}
