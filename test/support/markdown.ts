/** The fenced blocks of one language in a document, in order. */
export function blocksOf(text: string, language: string): string[] {
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"));
  return [...blocks].map(([, block]) => block ?? "");
}

/** The cells of each row below the first head, after a heading, whose first cell is `first`. */
export function rowsBelow(text: string, heading: string, first: string): string[][] {
  const lines = text.slice(text.indexOf(`\n## ${heading}\n`)).split("\n");
  const rows = lines.slice(lines.findIndex((line) => cellsOf(line)[0] === first) + 2);
  const end = rows.findIndex((row) => !row.startsWith("|"));
  return rows.slice(0, end === -1 ? undefined : end).map(cellsOf);
}

/** The links that are defined at the end of a document, by their names. */
function definitionsOf(text: string): ReadonlyMap<string, string> {
  const definitions = withoutCode(text).matchAll(/^\[([^\]]+)\]: (\S+)$/gm);
  return new Map([...definitions].map(([, name = "", target = ""]) => [name, target]));
}

/** The names that a document gives instead of a target. */
function namedLinksOf(text: string): string[] {
  const named = withoutCode(text).matchAll(/\[([^\]]+)\](?![(:])/g);
  return [...named].map(([, name]) => name ?? "");
}

export interface Citation {
  /** As the document links to it. */
  readonly file: string;
  readonly test: string;
}

/** The tests that a document names, as `[file] "the test's name"`; throws for a file without a test. */
export function citationsOf(text: string): Citation[] {
  const definitions = definitionsOf(text);
  const flowing = text.replaceAll(/\s+/g, " ");
  return namedLinksOf(text).flatMap((name) => {
    const file = definitions.get(name) ?? "";
    if (!file.includes("/test/")) return [];
    const tests = [...flowing.matchAll(new RegExp(`\\[${name}\\] "([^"]+)"`, "g"))];
    if (tests.length === 0) throw new Error(`[${name}] stands without the name of a test`);
    return tests.map(([, test = ""]) => ({ file, test }));
  });
}

function cellsOf(row: string): string[] {
  return row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```$/gm, "").replaceAll(/`[^`\n]*`/g, "");
}
