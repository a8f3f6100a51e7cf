import { fork } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { mutations } from "./mutations/catalog.ts";
import type { Mutation } from "./mutations/mutation.ts";

const child = fileURLToPath(new URL("mutated-child.ts", import.meta.url));
/** The seed at which the last search found each mutation, by its name: there it is looked for first. */
const recordFile = fileURLToPath(new URL("mutations/found-at.json", import.meta.url));
const atOnce = 2;
/** A mutation may make the program go round for ever. */
const patienceMs = 30 * 60_000;

/** Seeds to run in a process of their own. */
export interface Search {
  /** Of a mutation: its promise is looked for. Without one, any that the program as it is breaks. */
  readonly name?: string;
  readonly first: number;
  readonly last: number;
  /** Whether the story is to be told, with all left out that it does without. */
  readonly tells?: boolean;
}

/** The first of the seeds that broke the promise. */
export interface SearchNews {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly story: string;
}

/** What became of one mutation. */
export interface Sought {
  readonly mutation: Mutation;
  /** Undefined when no seed up to the bound breaks the promise. */
  readonly found: SearchNews | undefined;
}

export interface SeekOptions {
  /** At most so many seeds for each mutation, from 1 on. */
  readonly seeds: number;
  /** Looks for the first seed anew, whatever is recorded. */
  readonly anew: boolean;
  /** Told of each mutation as it is done. */
  readonly onSought: (sought: Sought) => void;
}

/** Runs seeds in order until one breaks the promise; undefined when none does. */
export function search(options: Search): Promise<SearchNews | undefined> {
  return new Promise((resolve, reject) => {
    const execArgv = ["--disable-warning=ExperimentalWarning", "--stack-trace-limit=0"];
    const running = fork(child, [JSON.stringify(options)], { execArgv, timeout: patienceMs });
    let found: SearchNews | undefined;
    running.on("message", (news: SearchNews) => {
      found = news;
    });
    running.on("error", reject);
    running.on("exit", (status) => {
      if (status === 0) resolve(found);
      else reject(new Error(`the search for ${options.name} ended by ${status}`));
    });
  });
}

/** Takes every mutation through seeds until its promise is broken. */
export async function seekAll({ seeds, anew, onSought }: SeekOptions): Promise<Sought[]> {
  const recorded = anew ? new Map<string, number>() : recordedSeeds();
  return severalAtOnce(mutations, async (mutation) => {
    const { name } = mutation;
    const seed = recorded.get(name);
    const known = seed === undefined ? undefined : await search({ name, first: seed, last: seed });
    const found = known ?? (await search({ name, first: 1, last: seeds }));
    const sought = { mutation, found };
    onSought(sought);
    return sought;
  });
}

/** What the program as it is breaks at the same seeds: there a mutation shows nothing. */
export async function brokenAnyway(sought: readonly Sought[]): Promise<readonly SearchNews[]> {
  const seeds = new Set(sought.flatMap(({ found }) => found?.seed ?? []));
  const broken = await severalAtOnce([...seeds], (seed) => search({ first: seed, last: seed }));
  return broken.filter((each) => each !== undefined);
}

/** Remembers where each was found. */
export function record(sought: readonly Sought[]): void {
  const seeds = sought.flatMap(({ mutation, found }) =>
    found === undefined ? [] : [[mutation.name, found.seed] as const],
  );
  writeFileSync(recordFile, `${JSON.stringify(Object.fromEntries(seeds), undefined, 2)}\n`);
}

function recordedSeeds(): ReadonlyMap<string, number> {
  const recorded: unknown = JSON.parse(readFileSync(recordFile, "utf8"));
  return new Map(Object.entries(z.record(z.string(), z.number()).parse(recorded)));
}

/** In the order of the items. */
async function severalAtOnce<Item, Answer>(
  items: readonly Item[],
  work: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) answers[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
}
