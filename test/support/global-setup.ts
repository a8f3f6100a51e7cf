import type { TestProject } from "vitest/node";
import { startS3, type RunningS3 } from "./s3-server.ts";

let running: RunningS3 | undefined;

/**
 * Starts the S3 that the tests meet, once for all of them, and says which one it is. `POSTERN_TEST_S3`
 * chooses: `real`, `endpoint`, `docker`, `program` or `emulator`.
 */
export async function setup(project: TestProject): Promise<void> {
  const started = await startS3(process.env["POSTERN_TEST_S3"]);
  running = started;
  project.provide("s3", started.s3);
  process.stdout.write(`\nS3 for the tests: ${started.name}\n`);
  if (started.s3.kind === "emulator") process.stdout.write(emulatorNotice(started.notes));
}

export async function teardown(): Promise<void> {
  await running?.stop();
}

function emulatorNotice(notes: readonly string[]): string {
  const bar = "*".repeat(78);
  return [
    bar,
    "NO REAL S3: the emulator has no conditional writes, so the tests of them are SKIPPED.",
    ...notes.map((note) => `  - ${note}`),
    bar,
    "",
  ].join("\n");
}
