import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const programs = {
  simulate: "../simulation/run.ts",
  model: "../model/run.ts",
  soak: "../soak/run.ts",
  bench: "../bench/run.ts",
} as const;

function statusOf(tool: keyof typeof programs, parameters: readonly string[]): number | null {
  const program = fileURLToPath(new URL(programs[tool], import.meta.url));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", program, ...parameters],
    { encoding: "utf8" },
  );
  expect(stdout + stderr).toContain(`npm run ${tool}`);
  return status;
}

test.each(["simulate", "model", "soak", "bench"] as const)("%s says how it is used", (tool) =>
  expect(statusOf(tool, ["--help"])).toBe(0),
);

test.each([
  ["simulate", []],
  ["simulate", ["--seed", "one"]],
  ["simulate", ["--seeds", "0"]],
  ["simulate", ["--seeds", "1e3"]],
  ["simulate", ["--seeds", "2", "--jobs", "two"]],
  ["simulate", ["--seeds", "2", "--from", "yesterday"]],
  ["simulate", ["--seed", "1", "--seeds", "2"]],
  ["simulate", ["--mutations", "--mutation", "born-forgotten"]],
  ["simulate", ["--mutation", "no-such-hole"]],
  ["model", ["--no-such-option"]],
  ["model", ["--mutation"]],
  ["soak", ["--minutes", "0"]],
  ["soak", ["--faults", "101"]],
  ["bench", ["--only", "no-such-benchmark"]],
  ["bench", ["--rounds", "0"]],
  ["bench", ["--write", "--quick"]],
] as const)(
  "%s that is asked for what it cannot do, as %j, says so, and neither kept nor broken",
  (tool, parameters) => expect(statusOf(tool, parameters)).toBe(2),
);
