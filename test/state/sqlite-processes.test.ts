import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { createSqliteState, openSqliteState } from "../../src/state/sqlite.ts";
import { receiptFor } from "./samples.ts";

const limit = 100_000;

describe("a sqlite state used by several processes", () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "postern-state-"));
    file = join(folder, "state.sqlite");
    const state = await createSqliteState({ file, clock: systemClock, machine: "m" });
    await state.close();
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it("loses no update that four of them make to the same runs at once", async () => {
    const children = Array.from({ length: 4 }, () => child("count", file, "100"));
    const exits = await Promise.all(children.map(exitOf));
    expect(exits).toStrictEqual([0, 0, 0, 0]);
    const state = await openSqliteState({ file, clock: systemClock, machine: "m" });
    for (const run of ["shared", "shared as well"]) {
      expect((await state.receipt(receiptFor(run)))?.starts).toBe(400);
    }
    expect(await state.nextNumber("shared")).toBe(401);
    await state.close();
  });

  it("keeps nothing of a step in which its process was killed", async () => {
    expect(await exitOf(child("die-deciding", file))).toBe("SIGKILL");
    const state = await openSqliteState({ file, clock: systemClock, machine: "m" });
    expect(await state.receipts({ limit })).toStrictEqual([]);
    await state.close();
  });

  it("keeps every step that was answered, each whole or not at all, when it is killed again and again", async () => {
    for (let kill = 1; kill <= 8; kill += 1) {
      const lastSaid = await killedAfter(child("live", file), kill * 3);
      requireSound(file);
      const state = await openSqliteState({ file, clock: systemClock, machine: "m" });
      const counted = (await state.receipt(receiptFor("shared")))?.starts ?? 0;
      expect(counted).toBeGreaterThanOrEqual(lastSaid);
      for (const { runId, state: outbox } of await state.outboxRecords({ limit })) {
        const transcript = await state.transcript(runId);
        expect(transcript?.envelopes.length).toBe(outbox === "closed" ? 20 : undefined);
      }
      await state.close();
    }
  });
});

function child(...args: readonly string[]): ChildProcess {
  const script = join(import.meta.dirname, "sqlite-child.ts");
  return spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

async function exitOf(process: ChildProcess): Promise<unknown> {
  const [status, signal]: unknown[] = await once(process, "exit");
  return status ?? signal;
}

/** Kills a process once it has said so many lines, in the middle of whatever it does then. */
async function killedAfter(process: ChildProcess, lines: number): Promise<number> {
  const exited = exitOf(process);
  let said = "";
  process.stdout?.on("data", (data: Buffer) => {
    said += data.toString();
    if (said.split("\n").length > lines) process.kill("SIGKILL");
  });
  if (process.stdout !== null) await once(process.stdout, "close");
  expect(await exited).toBe("SIGKILL");
  return Number(said.trimEnd().split("\n").at(-1));
}

function requireSound(file: string): void {
  const database = new DatabaseSync(file, { readOnly: true });
  expect(database.prepare("PRAGMA integrity_check").all()).toMatchObject([
    { integrity_check: "ok" },
  ]);
  database.close();
}
