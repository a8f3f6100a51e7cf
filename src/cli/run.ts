import { stripVTControlCharacters } from "node:util";
import { run } from "@oclif/core/run";
import { errnoOf } from "../base/errno.ts";
import { asPosternError, PosternError } from "../base/errors.ts";
import { exitStatusOf, readerGoneStatus } from "./exit-status.ts";
import { note } from "./note.ts";
import { isOutputFailure, outputFailure, tolerateUnwritable } from "./standard-output.ts";

/**
 * Runs one command line, reports a failure on stderr and sets the exit status. Never rejects. That the output
 * could not be written counts above everything else: whoever reads the status has not got it.
 */
export async function runCommandLine(args: readonly string[], root: string): Promise<void> {
  tolerateUnwritable();
  try {
    await run([...args], { root });
  } catch (thrown) {
    endWith(failureOf(thrown));
  }
  const unwritten = await outputFailure();
  if (unwritten !== undefined) endWith(unwrittenOf(unwritten));
}

/** Reports what nobody caught and sets the exit status; returns whether the program has to end at once. */
export function reportUncaught(thrown: unknown): boolean {
  if (isOutputFailure(thrown)) return false;
  endWith(failureOf(thrown));
  return true;
}

function endWith({ status, report }: Failure): void {
  if (report !== undefined) note(report);
  process.exitCode = status;
}

interface Failure {
  readonly status: number;
  /** Undefined for a command that has said everything already. */
  readonly report?: string;
}

/** What a failure ends with. */
export function failureOf(thrown: unknown): Failure {
  if (isFrameworkError(thrown)) {
    if (thrown.code === "EEXIT") return { status: thrown.oclif.exit };
    if (thrown.code === undefined) return coded(usageError(thrown));
  }
  const error = asPosternError(thrown);
  return error.code === "INTERNAL" ? fault(error) : coded(error);
}

/** What a stdout that cannot be written ends with; a reader who has seen enough needs no word about it. */
export function unwrittenOf(failure: unknown): Failure {
  const why = errnoOf(failure) ?? "unknown";
  if (why === "EPIPE") return { status: readerGoneStatus };
  const what = `stdout cannot be written (${why}): make room, or send it elsewhere; what the command did stands`;
  return coded(new PosternError("OUTPUT_FAILED", what, { cause: failure }));
}

function coded(error: PosternError): Failure {
  return { status: exitStatusOf(error), report: `${error.code}: ${error.message}` };
}

/** A fault of the program is reported with its stack: it is for whoever mends it. */
function fault(error: PosternError): Failure {
  const origin = error.cause instanceof Error ? error.cause : error;
  const { status, report } = coded(error);
  return { status, report: `${report}\n${origin.stack ?? ""}` };
}

function usageError(error: FrameworkError): PosternError {
  const message = stripVTControlCharacters(error.message);
  return new PosternError("USAGE", message, { cause: error });
}

/** An error that oclif, or the copy of oclif that a plugin brings along, made on purpose. */
interface FrameworkError extends Error {
  readonly code?: string;
  readonly oclif: { readonly exit: number };
}

function isFrameworkError(thrown: unknown): thrown is FrameworkError {
  return (
    thrown instanceof Error &&
    "oclif" in thrown &&
    typeof thrown.oclif === "object" &&
    thrown.oclif !== null &&
    "exit" in thrown.oclif &&
    typeof thrown.oclif.exit === "number"
  );
}
