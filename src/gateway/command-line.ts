import { PosternError } from "../base/errors.ts";

/** What only a shell understands, when it stands alone and unquoted. */
const shellOperators: ReadonlySet<string> = new Set([
  "|",
  "||",
  "|&",
  "&",
  "&&",
  ";",
  "<",
  "<<",
  "<<<",
  ">",
  ">>",
  "2>",
  "2>>",
  "&>",
  "2>&1",
  ">&2",
  "1>&2",
  "(",
  ")",
]);

/**
 * The words of a command line: parted by white space, with '...' literal, "..." in which \ stands before " and
 * \ alone, and \ before any character outside of quotes. Nothing is expanded, because no shell will read it.
 *
 * Throws `USAGE` for a quote that is not closed, for no program, and for operators that only a shell knows.
 */
export function splitCommandLine(text: string): readonly string[] {
  const words = new WordReader(text).words();
  const [program] = words;
  if (program === undefined || program === "") throw refused(text, "name a program");
  return words;
}

class WordReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  words(): string[] {
    const words: string[] = [];
    for (this.#skipSpace(); this.#at < this.#text.length; this.#skipSpace())
      words.push(this.#word());
    return words;
  }

  #skipSpace(): void {
    while (isSpace(this.#text.charAt(this.#at))) this.#at += 1;
  }

  #word(): string {
    const start = this.#at;
    let word = "";
    while (this.#at < this.#text.length && !isSpace(this.#text.charAt(this.#at)))
      word += this.#part();
    if (shellOperators.has(this.#text.slice(start, this.#at))) {
      throw refused(
        this.#text,
        `${word} means nothing without a shell: quote it, or start sh -c '...' as the program`,
      );
    }
    return word;
  }

  #part(): string {
    const character = this.#take();
    switch (character) {
      case "'":
        return this.#quoted("'", () => this.#take());
      case '"':
        return this.#quoted('"', () => this.#takeEscaped());
      case "\\":
        if (this.#at === this.#text.length)
          throw refused(this.#text, "nothing follows the last \\");
        return this.#take();
      default:
        return character;
    }
  }

  #quoted(quote: string, take: () => string): string {
    let inside = "";
    while (this.#text.charAt(this.#at) !== quote) {
      if (this.#at >= this.#text.length) throw refused(this.#text, `a ${quote} is not closed`);
      inside += take();
    }
    this.#at += 1;
    return inside;
  }

  #takeEscaped(): string {
    const character = this.#take();
    const next = this.#text.charAt(this.#at);
    return character === "\\" && (next === '"' || next === "\\") ? this.#take() : character;
  }

  #take(): string {
    const character = this.#text.charAt(this.#at);
    this.#at += 1;
    return character;
  }
}

function isSpace(character: string): boolean {
  return character !== "" && " \t\r\n".includes(character);
}

function refused(text: string, what: string): PosternError {
  return new PosternError("USAGE", `${JSON.stringify(text)} is no command line: ${what}`);
}
