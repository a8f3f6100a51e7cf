import { printable, spelledOut, unprintable } from "../base/printable.ts";

/** Line ends, tabs, and the two joiners that Persian, Hindi and emoji are written with. */
const partOfProse: ReadonlySet<string> = new Set(["\n", "\t", "\u{200c}", "\u{200d}"]);

export interface SafeTextOptions {
  /** The text is prose of several lines; otherwise it has to stay on its line. */
  readonly multiline?: boolean;
}

/**
 * Text from outside as a terminal may see it: what is unprintable is spelled out (`\u{1b}`). Everything that
 * a peer, a store or a handler can choose goes through here before it is printed for people.
 */
export function safeText(text: string, options: SafeTextOptions = {}): string {
  if (options.multiline !== true) return printable(text);
  return text
    .replaceAll("\r\n", "\n")
    .replaceAll(unprintable, (character) =>
      partOfProse.has(character) ? character : spelledOut(character),
    );
}

/**
 * One line of JSON without the line end. What is unprintable is escaped in JSON's own way, so a parser reads
 * exactly the value that was given.
 */
export function jsonLine(value: object): string {
  return safeJson(JSON.stringify(value));
}

/** JSON text on one line, with the same value and nothing unprintable in it. */
export function safeJson(json: string): string {
  return json.replaceAll(unprintable, (character) =>
    Array.from({ length: character.length }, (_, at) => escapedUnit(character, at)).join(""),
  );
}

function escapedUnit(character: string, at: number): string {
  return `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
}

/** Rows under a head, in columns two spaces apart, safe to print; no line end after the last. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => safeText(cell)));
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => width(cells[column]))));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - width(cell)))
        .join("  "),
    )
    .map((line) => line.trimEnd())
    .join("\n");
}

function width(cell: string | undefined): number {
  return cell === undefined ? 0 : Array.from(cell).length;
}
