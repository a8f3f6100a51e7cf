import { stripVTControlCharacters } from "node:util";
import { run } from "@oclif/core/run";
import { asPosternError, PosternError } from "../base/errors.ts";
import { exitStatusOf } from "./exit-status.ts";
import { safeText } from "./output.ts";

/** Runs one command line, reports a failure on stderr and sets the exit status. Never rejects. */
export async function runCommandLine(args: readonly string[], root: string): Promise<void> {
  try {
    await run([...args], { root });
  } catch (thrown) {
    const { status, report } = failureOf(thrown);
    if (report !== undefined)
      process.stderr.write(`postern: ${safeText(report, { multiline: true })}\n`);
    process.exitCode = status;
  }
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
