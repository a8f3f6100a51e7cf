import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { flagsOf, type Search } from "./models.ts";

const run = promisify(execFile);
const searchTimeoutMs = 600_000;
const maxOutputBytes = 64 * 1024 * 1024;
/** Megabytes that one search may take. */
const memoryLimit = 4096;
/** Steps that a search may go deep; one that goes deeper is not complete. */
const maxDepth = 100_000;

export interface Searched {
  /** How the model broke a promise, and undefined where it keeps them all. */
  readonly broken: string | undefined;
  /** Why the search did not come to its end; undefined for one that is complete, or that found an error. */
  readonly incomplete: string | undefined;
  readonly states: number;
  readonly transitions: number;
  /** Of the whole search; of the trail to the error, where there is one. */
  readonly depth: number;
  readonly ms: number;
}

/** What is needed to search and is not on this machine. */
export async function missingTools(): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const [tool, flag] of [
    ["spin", "-V"],
    ["cc", "--version"],
  ] as const) {
    await run(tool, [flag]).catch(() => missing.push(tool));
  }
  return missing;
}

/** Searches all states; with a mutation in breadth, so that what it finds is the shortest way to it. */
export async function searchStates(search: Search, mutated?: string): Promise<Searched> {
  return withBuild(search, mutated, async (folder) => {
    const began = performance.now();
    const depth = mutated === undefined ? [`-m${maxDepth}`] : [];
    const { stdout } = await runIn(folder, "./pan", ["-w24", ...depth]);
    return { ...readReport(stdout), ms: performance.now() - began };
  });
}

/** The shortest way to the error of a mutation, told step by step. */
export async function storyOf(search: Search, mutated: string): Promise<readonly string[]> {
  return withBuild(search, mutated, async (folder) => {
    await runIn(folder, "./pan", ["-w24"]);
    const file = `${search.model}.pml`;
    const trail = ["-t", "-k", `${file}.trail`, "-T"];
    const { stdout } = await runIn(folder, "spin", [...trail, ...flagsOf(search, mutated), file]);
    const lines = stdout.split("\n");
    const end = lines.findIndex((line) => line.startsWith("spin: trail ends"));
    return lines.slice(0, end === -1 ? undefined : end).map(withWords);
  });
}

/** The numbers that run.pml has for how a run ended. */
const outcomes = [
  "none",
  "of the first start",
  "of the second start",
  "of the third start",
  "interrupted",
  "deadline",
  "refused",
  "conflict",
  "expired",
  "state lost",
  "silenced",
];

function withWords(line: string): string {
  return line.replace(/outcome (\d+)/u, (_, number: string) => {
    return `outcome ${outcomes[Number(number)] ?? number}`;
  });
}

async function withBuild<T>(
  search: Search,
  mutated: string | undefined,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "postern-model-"));
  try {
    const file = `${search.model}.pml`;
    await copyFile(fileURLToPath(new URL(file, import.meta.url)), join(folder, file));
    await runIn(folder, "spin", ["-a", ...flagsOf(search, mutated), file]);
    // A mutation is found sooner than a compiler that takes pains is done.
    const mode = mutated === undefined ? ["-O1"] : ["-O0", "-DBFS"];
    const defines = ["-DSAFETY", `-DMEMLIM=${memoryLimit}`];
    await runIn(folder, "cc", ["-w", ...mode, ...defines, "-o", "pan", "pan.c"]);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runIn(cwd: string, program: string, args: readonly string[]) {
  return run(program, args, { cwd, timeout: searchTimeoutMs, maxBuffer: maxOutputBytes });
}

/** What a model says, by `assert(false)`, where one of its own bounds did not suffice. */
const tooNarrow = "assertion violated 0";

/** Reads what the verifier that Spin made prints (https://spinroot.com/spin/Man/Pan.html). */
export function readReport(report: string): Omit<Searched, "ms"> {
  const errors = numberIn(report, /errors: (\d+)/u);
  const broken = /^pan:\d+: (.*) \(at depth/mu.exec(report)?.[1];
  const stopped =
    /max search depth too small|out of memory|reached -DMEMLIM|search was truncated/iu;
  const incomplete = stopped.exec(report)?.[0];
  const narrow = broken === tooNarrow ? "a bound of the model itself is too narrow" : undefined;
  const silent = errors === 0 && broken === undefined;
  const unfinished = silent && report.includes("Search not completed");
  return {
    broken: silent || narrow !== undefined ? undefined : (broken ?? "an error without a name"),
    incomplete: incomplete ?? narrow ?? (unfinished ? "search not completed" : undefined),
    states: numberIn(report, /(\d[\d.e+]*) states, stored/u),
    transitions: numberIn(report, /(\d[\d.e+]*) transitions/u),
    depth: numberIn(report, /depth reached (\d+)/u),
  };
}

function numberIn(report: string, pattern: RegExp): number {
  const found = pattern.exec(report)?.[1];
  if (found === undefined)
    throw new Error(`the verifier did not say what was looked for:\n${report}`);
  return Number(found);
}
