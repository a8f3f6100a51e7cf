import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openFileStore, type FileStore } from "../../src/store/file.ts";
import { raceKeys, raceNames, writerOf } from "./file-race.ts";

const processes = 8;
const killsPerProcess = 2;
/** Whoever is to die after no more than these has enough left to do that it dies in the middle of it. */
const diesWithin = raceNames - 100;
const program = fileURLToPath(new URL("file-race-child.ts", import.meta.url));
const deps = { clock: systemClock, random: systemRandom };

let folder: string;
let store: FileStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-race-"));
  store = await openFileStore(folder, { ...deps, create: true });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Win {
  readonly key: string;
  readonly racer: string;
}

/** Runs one racer, to its end or until it dies soon after so many names; its wins are added to `wins`. */
async function race(racer: string, wins: Win[], diesAfter?: number): Promise<void> {
  const args = diesAfter === undefined ? [] : [`${diesAfter}`];
  const child = spawn(process.execPath, [program, folder, racer, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "close");
  for await (const line of createInterface(child.stdout)) wins.push({ key: line, racer });
  await exit;
  expect([racer, child.exitCode, child.signalCode]).toEqual(
    diesAfter === undefined ? [racer, 0, null] : [racer, null, "SIGKILL"],
  );
}

it("8 processes under SIGKILL put 300 names: one winner each, nothing torn, nothing changed", async () => {
  const wins: Win[] = [];
  const seen = new Map<string, string>();

  const slot = async (index: number) => {
    for (let life = 0; life < killsPerProcess; life++)
      await race(`${index}.${life}`, wins, Math.floor(Math.random() * diesWithin));
    await race(`${index}.last`, wins);
  };
  const look = async () => {
    for (const key of raceKeys()) {
      const result = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
      if (result.status !== "found") {
        expect(seen.has(key)).toBe(false);
        continue;
      }
      const writer = writerOf(key, result.bytes);
      expect(seen.get(key) ?? writer).toBe(writer);
      seen.set(key, writer);
    }
  };

  const racing = Promise.all(Array.from({ length: processes }, (_, index) => slot(index)));
  const ended = racing.then(
    () => true,
    () => true,
  );
  do await look();
  while (!(await Promise.race([ended, delay(20, false)])));
  await racing;
  await look();

  expect(seen.size).toBe(raceNames);
  // Whoever was told that it won did win; who was killed in between was told nothing.
  for (const { key, racer } of wins) expect(seen.get(key)).toBe(racer);
  expect(new Set(wins.map(({ key }) => key)).size).toBe(wins.length);

  const { entries } = await store.list({ prefix: "", limit: 1000 });
  expect(entries.map(({ key }) => key)).toEqual(raceKeys().toSorted());
}, 120_000);

it("what killed writers left unfinished is removed by a store opened an hour later", async () => {
  await Promise.all(
    Array.from({ length: processes }, (_, index) => race(`${index}`, [], 10 * index)),
  );
  const later = { ...systemClock, now: () => Date.now() + limits.staleTemporaryMs + 60_000 };
  await openFileStore(folder, { ...deps, clock: later });
  expect(await readdir(join(folder, ".postern-tmp"))).toEqual([]);
});
