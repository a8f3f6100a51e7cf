import type { S3UnderTest } from "../support/s3-server.ts";
import type { TestBucket } from "../support/bucket.ts";
import type { Requests } from "./requests.ts";

/** Where benchmarks run, and how thoroughly. */
export interface Setting {
  readonly s3: S3UnderTest;
  readonly bucket: TestBucket;
  /** A temporary folder, for homes and states. */
  readonly folder: string;
  /** How often each thing is measured; undefined: as often as the benchmark sees fit. */
  readonly rounds: number | undefined;
  /** How much there is of everything: `full` for the page, `quick` to try, `least` to see that it works. */
  readonly size: Size;
}

type Size = "full" | "quick" | "least";

export interface Benchmark {
  /** What `--only` calls it, and the folder and the prefix that are its own. */
  readonly name: string;
  run(setting: Setting): Promise<Found>;
}

/** What a benchmark found. */
export interface Found {
  readonly title: string;
  /** What was measured, in plain sentences. */
  readonly about: string;
  readonly tables: readonly Table[];
  /** Requests to the store by what caused them: unlike times, they are the same on every machine. */
  readonly requests: Readonly<Record<string, Requests>>;
}

/** The first column is text, the others are numbers. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function roundsOf({ rounds, size }: Setting, usual: number): number {
  return rounds ?? Math.ceil(usual / { full: 1, quick: 10, least: usual }[size]);
}

export function numberText(value: number): string {
  return value.toLocaleString("en");
}
