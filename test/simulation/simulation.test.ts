import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { simulate } from "./simulate.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("run.ts", import.meta.url));
const enoughSeeds = 10_000;
/** Fewer, for a quick look while working, do not go through everything. */
const seeds = Number(process.env["POSTERN_SIMULATION_SEEDS"] ?? enoughSeeds);
const leastCovered = seeds < enoughSeeds ? 0 : 95;

async function runProgram(...parameters: string[]): Promise<string> {
  const flags = ["--disable-warning=ExperimentalWarning", program, ...parameters];
  const running = run(process.execPath, flags, { maxBuffer: 64 * 1024 * 1024 });
  running.child.stderr?.pipe(process.stderr);
  const { stdout } = await running;
  return stdout;
}

describe("the simulation", () => {
  it.each([1, 77, 131])("gives the same trace for the same seed (%i)", async (seed) => {
    const first = await simulate(seed);
    const second = await simulate(seed);
    expect(first.trace.length).toBeGreaterThan(100);
    expect(second.trace).toEqual(first.trace);
  });

  it("gives other traces for other seeds", async () => {
    const [one, other] = [await simulate(1), await simulate(2)];
    expect(other.trace).not.toEqual(one.trace);
  });

  it("prints in a process of its own the trace that it has here", async () => {
    const { trace } = await simulate(5);
    expect(await runProgram("--seed", "5")).toBe(`${trace.join("\n")}\n0 violations\n`);
  });

  it(
    `keeps the six promises in ${seeds} seeds, through at least ${leastCovered} % of the code that keeps them`,
    { timeout: 1_800_000 },
    async () => {
      const output = await runProgram("--seeds", String(seeds), "--jobs", "2", "--coverage");
      process.stdout.write(output);
      expect(output).toMatch(/ 0 violations\n$/);
      const covered = /^altogether: ([\d.]+) % of /m.exec(output)?.[1];
      expect(Number(covered)).toBeGreaterThanOrEqual(leastCovered);
    },
  );
});
