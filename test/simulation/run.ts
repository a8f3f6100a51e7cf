import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runTool, ToolError, wholeNumber } from "../support/tool.ts";
import type { FileCoverage } from "./coverage.ts";
import { simulateInJobs } from "./jobs.ts";
import { brokenAnyway, record, search, seekAll, type Sought } from "./mutate.ts";
import { mutations } from "./mutations/catalog.ts";
import type { Outcome } from "./scenario.ts";

const dayMs = 24 * 3_600_000;
/** Within so many seeds each mutation must be found. */
const enoughSeeds = 10_000;

const usage = `npm run simulate -- --seed N              one seed: its trace, and the story of what it breaks
npm run simulate -- --seeds M [--from N]  M seeds: one closing line
                    [--from today]        other ones than on any other day, up to a million
                    [--jobs J]            in J processes side by side; 0: one for each processor
                    [--coverage]          and what of the code that keeps the promises they ran through
npm run simulate -- --mutations           holes put back one by one, until a seed shows each
                    [--seeds M]           within M seeds (${enoughSeeds})
                    [--anew]              from seed 1 on, and not first where it was found before
                    [--record]            and writes down where each was found
npm run simulate -- --mutation NAME       one hole: the story of the first seed that shows it
                    [--seed N]            or of this one
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      jobs: { type: "string", default: "1" },
      coverage: { type: "boolean", default: false },
      mutations: { type: "boolean", default: false },
      anew: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
      mutation: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const { seed, seeds, coverage, mutation } = values;
  if (values.help) return say(usage, 0);
  const from = values.from === "today" ? today() : wholeNumber("--from", values.from);
  const jobs = wholeNumber("--jobs", values.jobs) || availableParallelism();
  const oneSeed = seed === undefined ? undefined : wholeNumber("--seed", seed);
  const count = seeds === undefined ? undefined : wholeNumber("--seeds", seeds, 1);
  const isLife = !values.mutations && mutation === undefined;
  const asked = isLife ? [seed, seeds] : [values.mutations || undefined, mutation];
  if (asked.filter((each) => each !== undefined).length !== 1)
    throw new ToolError("say one of --seed, --seeds, --mutations and --mutation");
  if (values.mutations) return showMutations({ ...values, seeds: count ?? enoughSeeds });
  if (mutation !== undefined)
    return showMutation(mutation, oneSeed ?? from, oneSeed ?? count ?? enoughSeeds);
  if (oneSeed !== undefined) return showSeed(oneSeed);
  return showSeeds({ first: from, count: count ?? 0, jobs, coverage });
}

/** The first of this day's million seeds. */
function today(): number {
  return Math.floor(Date.now() / dayMs) * 1_000_000;
}

async function showSeed(seed: number): Promise<number> {
  const { simulate } = await import("./simulate.ts");
  const outcome = await simulate(seed);
  say(`${outcome.trace.join("\n")}\n${outcome.violations.length} violations\n`, 0);
  return outcome.violations.length === 0 ? 0 : tellStory(outcome);
}

/** What broke the promise, with all left out that it does without. */
async function tellStory(broken: Outcome): Promise<number> {
  const { shrink } = await import("./shrink.ts");
  const { storyOf } = await import("./story.ts");
  const { seed, happened } = broken;
  note(
    `seed ${seed}: looking for what can be left out of ${happened.length} doings and troubles\n`,
  );
  const smallest = await shrink(broken);
  const left = `${smallest.happened.length} of ${happened.length} doings and troubles`;
  return say(`\nthe story of seed ${seed}, with ${left}:\n\n${storyOf(smallest)}\n`, 1);
}

async function showSeeds(options: {
  readonly first: number;
  readonly count: number;
  readonly jobs: number;
  readonly coverage: boolean;
}): Promise<number> {
  const { many, files } = await simulateInJobs({
    ...options,
    onProgress: progressOf(options.count),
  });
  showCoverage(files);
  if (many.broken !== undefined) {
    const { seed, violations } = many.broken;
    await tellStory(many.broken);
    return say(
      `${allOf(violations)}\nseed ${seed} breaks a promise: npm run simulate -- --seed ${seed}\n`,
      1,
    );
  }
  return say(
    `${many.seeds} seeds, ${many.starts} starts, ${many.terminals} terminals, 0 violations\n`,
    0,
  );
}

async function showMutations(options: {
  readonly seeds: number;
  readonly anew: boolean;
  readonly record: boolean;
}): Promise<number> {
  say("promise  seeds  mutation\n", 0);
  const sought = await seekAll({ ...options, onSought: (each) => say(rowOf(each), 0) });
  if (options.record) record(sought);
  const found = sought.filter((each) => each.found !== undefined).length;
  const broken = await brokenAnyway(sought);
  for (const { seed, violations } of broken)
    say(`seed ${seed} breaks a promise without any mutation: ${violations.join("; ")}\n`, 0);
  return say(
    `${found} of ${sought.length} mutations found, ${broken.length} violations without them\n`,
    found === sought.length && broken.length === 0 ? 0 : 1,
  );
}

function rowOf({ mutation: { name, breaks, opens }, found }: Sought): string {
  const seeds = String(found?.seed ?? "none").padStart(5);
  return `${String(breaks).padStart(7)}  ${seeds}  ${name}: ${opens}\n`;
}

async function showMutation(name: string, first: number, last: number): Promise<number> {
  if (!mutations.some((mutation) => mutation.name === name))
    throw new ToolError(`there is no mutation ${name}: --mutations names them all`);
  const found = await search({ name, first, last, tells: true });
  if (found === undefined) return say(`no seed from ${first} to ${last} shows ${name}\n`, 1);
  const { seed, story, violations } = found;
  return say(`the story of seed ${seed}:\n\n${story}\n\n${allOf(violations)}`, 0);
}

/** Other runs and processes may break a promise in the life as it was than in its story. */
function allOf(violations: readonly string[]): string {
  return `with nothing left out, that life breaks:\n${violations.join("\n")}\n`;
}

function showCoverage(files: readonly FileCoverage[]): void {
  if (files.length === 0) return;
  for (const { file, lines, missed } of files) {
    const rest = missed.length === 0 ? "" : `, not line ${missed.join(", ")}`;
    say(`${file}: ${percent(lines - missed.length, lines)} of ${lines} lines${rest}\n`, 0);
  }
  const lines = files.reduce((sum, file) => sum + file.lines, 0);
  const missed = files.reduce((sum, file) => sum + file.missed.length, 0);
  say(`altogether: ${percent(lines - missed, lines)} of ${lines} lines\n`, 0);
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

/** A line now and then, of a run that takes long. */
function progressOf(count: number): (done: number) => void {
  const everyMs = 10_000;
  const sinceMs = Date.now();
  let toldMs = sinceMs;
  return (done) => {
    if (Date.now() - toldMs < everyMs) return;
    toldMs = Date.now();
    const leftMinutes = (((toldMs - sinceMs) / done) * (count - done)) / 60_000;
    note(`${done} of ${count} seeds, ${leftMinutes.toFixed(1)} minutes to go\n`);
  };
}

function say(text: string, status: number): number {
  process.stdout.write(text);
  return status;
}

function note(text: string): void {
  process.stderr.write(text);
}

await runTool(usage, main);
