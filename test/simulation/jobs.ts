import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FileCoverage } from "./coverage.ts";
import type { ManyOutcomes } from "./simulate.ts";

export interface Job {
  readonly first: number;
  readonly count: number;
  readonly step: number;
  readonly coverage: boolean;
}

/** What one process says: how far it is, and at last what came of its seeds. */
export type JobNews =
  | { readonly done: number }
  | { readonly many: ManyOutcomes; readonly files: readonly FileCoverage[] };

export interface JobsOptions {
  readonly first: number;
  readonly count: number;
  readonly jobs: number;
  readonly coverage: boolean;
  /** Told now and then how many seeds are done. */
  readonly onProgress: (done: number) => void;
}

export interface JobsOutcome {
  readonly many: ManyOutcomes;
  /** What any of the processes ran through; empty unless asked for. */
  readonly files: readonly FileCoverage[];
}

const child = fileURLToPath(new URL("job-child.ts", import.meta.url));

/** Runs seeds in several processes side by side. Of the seeds that broke a promise, the lowest is told. */
export async function simulateInJobs(options: JobsOptions): Promise<JobsOutcome> {
  const { first, count, jobs, coverage, onProgress } = options;
  const done = Array.from({ length: jobs }, () => 0);
  const outcomes = await Promise.all(
    done.map((_, index) => {
      const job = { first: first + index, count: count - index, step: jobs, coverage };
      return runJob(job, (seeds) => {
        done[index] = seeds;
        onProgress(done.reduce((sum, each) => sum + each, 0));
      });
    }),
  );
  const many = outcomes.map((outcome) => outcome.many);
  const broken = many.flatMap((each) => each.broken ?? []).toSorted((a, b) => a.seed - b.seed);
  return {
    many: {
      seeds: sumOf(many, "seeds"),
      starts: sumOf(many, "starts"),
      terminals: sumOf(many, "terminals"),
      broken: broken[0],
    },
    files: mergedCoverage(outcomes.map((outcome) => outcome.files)),
  };
}

function runJob(job: Job, onDone: (seeds: number) => void): Promise<JobsOutcome> {
  return new Promise((resolve, reject) => {
    const execArgv = ["--disable-warning=ExperimentalWarning", "--stack-trace-limit=0"];
    const running = fork(child, [JSON.stringify(job)], { execArgv, serialization: "advanced" });
    running.on("message", (news: JobNews) => {
      if ("done" in news) onDone(news.done);
      else resolve(news);
    });
    running.on("error", reject);
    running.on("exit", (status) =>
      reject(new Error(`a process of the simulation ended by ${status}`)),
    );
  });
}

function sumOf(many: readonly ManyOutcomes[], what: "seeds" | "starts" | "terminals"): number {
  return many.reduce((sum, each) => sum + each[what], 0);
}

/** A line is missed where every process missed it. */
function mergedCoverage(all: readonly (readonly FileCoverage[])[]): FileCoverage[] {
  const [own = [], ...others] = all;
  return own.map(({ file, lines, missed }, index) => ({
    file,
    lines,
    missed: missed.filter((line) =>
      others.every((other) => other[index]?.missed.includes(line) !== false),
    ),
  }));
}
