import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { asPosternError } from "../../src/base/errors.ts";
import { LogSync } from "../../src/state/sqlite/log-sync.ts";

let folder: string;
let file: string;
let database: DatabaseSync;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-log-"));
  file = join(folder, "a state");
  database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t (a)");
});
afterEach(async () => {
  database.close();
  await rm(folder, { recursive: true });
});

it("has nothing pending before it is asked and once it is done", async () => {
  const log = new LogSync(file);
  expect(log.pending).toBeUndefined();
  const done = log.sync();
  expect(log.pending).toBe(done);
  await done;
  expect(log.pending).toBeUndefined();
  log.close();
});

it("takes all who ask while one runs along with the next one, which begins after they asked", async () => {
  const log = new LogSync(file);
  const order: string[] = [];
  const first = log.sync().then(() => order.push("first"));
  const [second, third] = [log.sync(), log.sync()];
  expect(second).toBe(third);
  expect(log.pending).toBe(second);
  await Promise.all([first, second.then(() => order.push("second"))]);
  expect(order).toEqual(["first", "second"]);
  expect(log.pending).toBeUndefined();
  log.close();
});

it("tells everybody who waits when the log cannot be synced, and tries again for the next", async () => {
  const log = new LogSync(join(folder, "missing"));
  const codes = await Promise.all(
    [log.sync(), log.sync()].map((each) =>
      each.catch((thrown: unknown) => asPosternError(thrown).code),
    ),
  );
  expect(codes).toEqual(["INTERNAL", "INTERNAL"]);
  expect(log.pending).toBeUndefined();
});

it("drops none of the locks that SQLite holds", async () => {
  database.exec("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
  const log = new LogSync(file);
  await log.sync();
  log.close();
  const intrusion = `const { DatabaseSync } = require("node:sqlite");
    new DatabaseSync(process.argv[1], { timeout: 0 }).exec("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)");`;
  const { status, stderr } = spawnSync(process.execPath, ["-e", intrusion, file]);
  expect([status, stderr.toString()]).toEqual([1, expect.stringContaining("database is locked")]);
  database.exec("COMMIT");
  expect(database.prepare("SELECT count(*) AS n FROM t").get()).toEqual({ n: 1 });
});
