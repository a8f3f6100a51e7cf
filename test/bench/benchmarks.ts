import type { Benchmark } from "./benchmark.ts";
import { flood } from "./flood.ts";
import { latency } from "./latency.ts";
import { requestsPerRun } from "./requests-per-run.ts";
import { retained } from "./retained.ts";
import { roundTrips } from "./round-trips.ts";
import { sending } from "./sending.ts";
import { start } from "./start.ts";

/** All of them, in the order in which they run and stand on the page. */
export const benchmarks: readonly Benchmark[] = [
  latency,
  sending,
  roundTrips,
  requestsPerRun,
  retained,
  flood,
  start,
];
