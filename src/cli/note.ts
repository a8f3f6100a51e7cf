import { safeText } from "./output.ts";
import { statusLine } from "./status-line.ts";

/** Tells the person at the terminal something that is no result: a line on stderr. */
export function note(text: string): void {
  writeLine(`postern: ${safeText(text, { multiline: true })}`);
}

/** Writes a line to stderr as it is. */
export function writeLine(line: string): void {
  statusLine.clear();
  process.stderr.write(`${line}\n`);
}
