import { safeText } from "./output.ts";

const eraseToEnd = "\u001b[K";
/** Of a terminal that does not say how wide it is. */
const usualColumns = 80;

/** One line of a terminal that comes and goes, at the place where the cursor stands at a line's beginning. */
export class StatusLine {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #isShown = false;

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  /** Shows a text, safe for a terminal and cut to its width, in the place of the one before. */
  show(text: string): void {
    // A line that reaches the edge would wrap, and the rest of it stay.
    this.#write(`\r${fitting(safeText(text), this.#columns() - 1)}${eraseToEnd}`);
    this.#isShown = true;
  }

  /** Comes before whatever else the terminal is sent. */
  clear(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    this.#write(`\r${eraseToEnd}`);
  }
}

/** The line that this process may show on stderr. */
export const statusLine = new StatusLine(
  (text) => void process.stderr.write(text),
  () => {
    const { columns } = process.stderr;
    return columns > 0 ? columns : usualColumns;
  },
);

/** As much of a text as fits; what is not ASCII may be two columns wide. */
function fitting(text: string, columns: number): string {
  let width = 0;
  let fits = "";
  for (const character of text) {
    width += character <= "~" ? 1 : 2;
    if (width > columns) break;
    fits += character;
  }
  return fits;
}
