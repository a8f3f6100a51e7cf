import { readFileSync } from "node:fs";

/** One change of the source text of one file, under `src`. */
export interface Edit {
  readonly file: string;
  /** Source text that occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** A hole that a rule of the protocol closes, put back. */
export interface Mutation {
  /** Kebab-case: what `--mutation` takes. */
  readonly name: string;
  /** What the gateway does then, as one sentence. */
  readonly opens: string;
  /** The promise of SPEC.md (What always holds) that the simulation must see broken. */
  readonly breaks: 1 | 2 | 3 | 4 | 5 | 6;
  readonly edits: readonly Edit[];
}

/** Where a file of an edit lies. */
function urlOf({ file }: Pick<Edit, "file">): string {
  return new URL(`../../../src/${file}`, import.meta.url).href;
}

/** The source text with the edits of one file made. Throws where a text to find does not occur exactly once. */
export function edited(source: string, edits: readonly Edit[]): string {
  return edits.reduce((text, { file, find, replace }) => {
    const [before, after, ...more] = text.split(find);
    if (before === undefined || after === undefined || more.length > 0) {
      const times = text.split(find).length - 1;
      throw new Error(`src/${file} has this ${times} times, and must have it once:\n${find}`);
    }
    return before + replace + after;
  }, source);
}

/** The changed source text of every file of a mutation, by its URL. */
export function editedFiles({ edits }: Mutation): ReadonlyMap<string, string> {
  const ofFiles = Map.groupBy(edits, urlOf);
  return new Map(
    [...ofFiles].map(([url, ofFile]) => [url, edited(readFileSync(new URL(url), "utf8"), ofFile)]),
  );
}
