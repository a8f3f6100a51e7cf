import { PosternError } from "../base/errors.ts";
import type { RunId } from "../base/names.ts";
import { follow } from "../mailbox/follow.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import { note } from "./note.ts";
import type { Patience } from "./patience.ts";
import type { RunPrinter } from "./run-printer.ts";
import { isReaderGone } from "./standard-output.ts";

/**
 * Prints a run from its start to its end. Rejects with `OUTCOME_UNKNOWN` when no answer came in its time, with
 * `WAIT_TIMEOUT` or `CANCELLED` when the waiting is over, or as `follow` does; the run goes on then.
 */
export async function followRun(
  box: Mailbox,
  runId: RunId,
  printer: RunPrinter,
  patience: Patience,
): Promise<TerminalPayload> {
  const frames = follow(box, runId, { signal: patience.signal });
  for (;;) {
    const step = await patience.wait(frames.next());
    if (step.done !== true) {
      printer.frame(step.value);
      continue;
    }
    const followed = step.value;
    switch (followed.status) {
      case "closed":
        printer.end(followed.terminal);
        return followed.terminal;
      case "unknown":
        throw new PosternError(
          "OUTCOME_UNKNOWN",
          "neither an answer nor time to wait for one is left; it may have run, and a late answer still counts",
        );
      case "open":
        // Only the signal ends it so; `patience` knows the reason.
        await patience.wait(Promise.withResolvers<never>().promise);
    }
  }
}

/**
 * Says how to go on, whatever `following` fails with; an interruption and a time that is up fail it as well. A
 * reader who has seen enough has not asked.
 */
export async function tellingHowToWatch<T>(runId: RunId, following: Promise<T>): Promise<T> {
  try {
    return await following;
  } catch (thrown) {
    if (isReaderGone()) throw thrown;
    note(`run ${runId} goes on: follow it with \`postern runs watch ${runId}\``);
    throw thrown;
  }
}
