import { safeText } from "./output.ts";

/** Tells the person at the terminal something that is no result: a line on stderr. */
export function note(text: string): void {
  process.stderr.write(`postern: ${safeText(text, { multiline: true })}\n`);
}
