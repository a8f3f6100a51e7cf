import { createInterface } from "node:readline/promises";
import { PosternError } from "../base/errors.ts";
import { safeText } from "./output.ts";

/**
 * Asks a question that only a clear yes answers with yes; the end of the input is a no. Throws `USAGE` where
 * nobody can be asked: then the command line has to say `--yes`. Rejects when `signal` aborts.
 */
async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  const { stdin: input, stderr: output } = process;
  if (!input.isTTY) {
    throw new PosternError(
      "USAGE",
      "stdin is no terminal to ask on: say --yes if that is what you want",
    );
  }
  // Line by line, as the terminal edits it: Ctrl-C stays a signal.
  const asking = createInterface({ input, output, terminal: false });
  const ended = new Promise<string>((resolve) => {
    asking.once("close", () => resolve(""));
  });
  try {
    const shown = `${safeText(question, { multiline: true })} [y/N] `;
    const answer = await Promise.race([asking.question(shown, { signal }), ended]);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

/**
 * Goes on only where `--yes` was said or the question is answered with yes. Throws `USAGE`, then or where nobody
 * can be asked: nothing was changed. Rejects when the interruption aborts.
 */
export async function requireYes(
  question: string,
  { yes }: { readonly yes: boolean },
  interruption: AbortSignal,
): Promise<void> {
  if (yes || (await confirm(question, interruption))) return;
  throw new PosternError("USAGE", "nothing was changed");
}
