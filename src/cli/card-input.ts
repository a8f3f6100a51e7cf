import { existsSync } from "node:fs";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { readRegularFile } from "../gateway/files.ts";
import { openCard, type OpenedCard } from "../trust/card.ts";
import { readTextInput } from "./text-input.ts";

/**
 * Reads a card as people hand it over: a file's name, the text itself, or `-` for stdin. Throws `USAGE` for
 * what is none of these, and as `openCard` does.
 */
export async function readCardInput(input: string, nowMs: number): Promise<OpenedCard> {
  if (input === "-") return openCard(await readTextInput("-", limits.maxCardTextBytes), nowMs);
  if (existsSync(input))
    return openCard(readRegularFile(input, "USAGE", limits.maxCardTextBytes).bytes, nowMs);
  if (input.trim().startsWith("postern1")) return openCard(input, nowMs);
  throw new PosternError(
    "USAGE",
    `${JSON.stringify(input)} is neither a file nor a card's text: give the line that \`postern card export\` printed`,
  );
}
