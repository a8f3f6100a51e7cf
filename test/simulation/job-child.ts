import { startCoverage } from "./coverage.ts";
import type { Job, JobNews } from "./jobs.ts";

/** One process that runs seeds, as `simulateInJobs` tells it in its only parameter. */
const job: Job = JSON.parse(process.argv[2] ?? "");
const stopCoverage = job.coverage ? await startCoverage() : undefined;
// Loaded only now, so that coverage sees it from the start.
const { simulateMany } = await import("./simulate.ts");

const tell = (news: JobNews): void => void process.send?.(news);
const tellEverySeeds = 25;
const many = await simulateMany(job.first, job.count, {
  step: job.step,
  onSeed: (done) => {
    if (done % tellEverySeeds === 0) tell({ done });
  },
});
tell({ many, files: (await stopCoverage?.()) ?? [] });
process.disconnect();
