import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { makeBucket, s3, type TestBucket } from "../support/s3.ts";
import type { Benchmark, Found } from "./benchmark.ts";
import { flood } from "./flood.ts";
import { latency } from "./latency.ts";
import { machineText, pageOf } from "./page.ts";
import { requestsPerRun } from "./requests-per-run.ts";
import { retained } from "./retained.ts";
import { roundTrips } from "./round-trips.ts";
import { sending } from "./sending.ts";
import { spreadOf } from "./series.ts";
import { start } from "./start.ts";

let folder: string;
let bucket: TestBucket;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-bench-"));
  bucket = await makeBucket();
});

afterEach(async () => {
  await bucket.remove();
  await rm(folder, { recursive: true });
});

/** Once round, and as little of everything as there is. */
async function quickest(benchmark: Benchmark): Promise<Found> {
  const found = await benchmark.run({ s3, bucket, folder, rounds: 1, size: "least" });
  for (const { columns, rows } of found.tables) {
    expect(rows.flat().filter((cell) => cell === "" || cell.includes("NaN"))).toEqual([]);
    expect(new Set(rows.map((row) => row.length))).toEqual(new Set([columns.length]));
  }
  return found;
}

const asking = { put: 1, list: 0, get: 1, delete: 1 };
const answering = { put: 1, list: 1, get: 1, delete: 1 };

describe("the benchmarks", { timeout: 120_000 }, () => {
  test("a call that waits for no poll costs the requests of the design, and no others", async () => {
    const { requests } = await quickest(latency);
    expect(requests).toEqual({ caller: asking, callee: answering });
  });

  test("sending is one PUT", async () => {
    const { requests } = await quickest(sending);
    expect(requests).toEqual({ caller: { put: 1, list: 0, get: 0, delete: 0 } });
  });

  test("calls at once share their looks into the inbox, and nothing is asked for in vain", async () => {
    const { requests } = await quickest(roundTrips);
    expect(requests).toEqual({
      "1 at once": { put: 2, list: 1, get: 2, delete: 2 },
      "16 at once": { put: 2, list: 1 / 16, get: 2, delete: 2 },
    });
  });

  test("runs and idle minutes cost the requests that the page gives", async () => {
    const { requests } = await quickest(requestsPerRun);
    expect(requests).toMatchObject({
      "a short run among others: caller": asking,
      "a short run among others: callee": answering,
      "a short run, a minute after the last: caller": asking,
      "a short run, a minute after the last: callee": { ...answering, get: 2 },
      "a refused run: caller": asking,
      "a refused run: callee": answering,
    });
    for (const side of ["caller", "callee"]) {
      const idle = requests[`an idle minute: ${side}`];
      expect(idle).toMatchObject({ put: 0, get: 0, delete: 0 });
      // Once in a while left-over frames are looked for.
      expect(idle?.list).toBeCloseTo(1 + 1 / limits.passesPerSweep, 1);
    }
  });

  test("a pass asks the store for the same, however much is remembered", async () => {
    const { requests } = await quickest(retained);
    const idle = { put: 0, list: 1, get: 0, delete: 0 };
    expect(requests).toEqual({
      "callee idle, 10 for two weeks": idle,
      "callee answering one run, 10 for two weeks": answering,
      "caller idle, 10 for two weeks": idle,
      "caller closing one run, 10 for two weeks": { put: 0, list: 1, get: 1, delete: 1 },
    });
  });

  test("a flood of one peer keeps another one waiting for no more than one pass", async () => {
    const { requests, tables } = await quickest(flood);
    expect(requests["nothing waits"]).toEqual({ put: 0, list: 1, get: 0, delete: 0 });
    expect(requests["20 requests wait"]).toMatchObject({ put: 8, list: 1, delete: 8 });
    expect(tables.at(-1)?.rows.at(-1)).toEqual(["20 requests wait", "1"]);
  });

  test("a command starts", async () => {
    const { tables } = await quickest(start);
    expect(tables[0]?.rows).toHaveLength(3);
  });
});

describe("the page", () => {
  const found: Found = {
    title: "Something",
    about: "It was measured.",
    tables: [{ columns: ["what", "median"], rows: [["a thing of some length", "1.00"]] }],
    requests: {},
  };

  test("says what machine it was measured on, by its class and not by its name", () => {
    const machine = machineText(s3);
    expect(pageOf(machine, [found])).toContain(machine);
    expect(machine).toMatch(/^\d+ cores \(\w+\), Node [\d.]+, driver s3 on [A-Za-z3 ]+$/);
  });

  test("has its tables aligned, as the formatter wants them", () => {
    const lines = pageOf("", [found]).split("\n").slice(-5);
    expect(lines).toEqual([
      "",
      "| what                   | median |",
      "| ---------------------- | -----: |",
      "| a thing of some length |   1.00 |",
      "",
    ]);
  });
});

describe("a spread", () => {
  test("is the median with the lowest and the highest tenth, between neighbours where there is none", () => {
    const values = Array.from({ length: 11 }, (_, value) => 10 - value);
    expect(spreadOf(values)).toEqual({ median: 5, p10: 1, p90: 9 });
    expect(spreadOf([1, 2])).toEqual({ median: 1.5, p10: 1.1, p90: 1.9 });
  });
});
