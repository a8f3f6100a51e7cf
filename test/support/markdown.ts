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

/** The command lines of this program in a document's code, each without the program's name. */
export function commandLinesOf(text: string): string[] {
  const code = text.matchAll(/^```\w*\n([^]*?)^```$|`([^`\n]+)`/gm);
  return [...code].flatMap(([, block, span]) => {
    // As the value of a flag it is a user's name.
    const lines = (block ?? span ?? "").matchAll(/(?<!-\w+ )\bpostern ([a-z][^\n|&#]*)/g);
    return [...lines].map(([, line]) => line ?? "");
  });
}

/** What a link in a document points to, as it is written: inline, or in a definition at its end. */
export function linksOf(text: string): string[] {
  const plain = withoutCode(text);
  const inline = [...plain.matchAll(/\]\(([^()\s]+)\)/g)];
  return [...inline.map(([, target]) => target ?? ""), ...definitionsOf(text).values()];
}

/** The links that are defined at the end of a document, by their names. */
export function definitionsOf(text: string): ReadonlyMap<string, string> {
  const definitions = withoutCode(text).matchAll(/^\[([^\]]+)\]: (\S+)$/gm);
  return new Map([...definitions].map(([, name = "", target = ""]) => [name, target]));
}

/** The names that a document gives instead of a target. */
export function namedLinksOf(text: string): string[] {
  const named = withoutCode(text).matchAll(/\[([^\]]+)\](?![(:])/g);
  return [...named].map(([, name]) => name ?? "");
}

/** The fragments that lead to a document's headings, as GitHub makes them. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const headings = text.replaceAll(/^```[^]*?^```$/gm, "").matchAll(/^#+ (.*)$/gm);
  return new Set([...headings].map(([, heading]) => anchorOf(heading ?? "")));
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

function anchorOf(heading: string): string {
  const kept = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "");
  return kept.trim().replaceAll(" ", "-");
}
