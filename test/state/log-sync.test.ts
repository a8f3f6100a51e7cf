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

it("takes all who ask while one runs along with the next one, which begins after they asked", async () => {
  const log = new LogSync(file);
  const order: string[] = [];
  const first = log.sync().then(() => order.push("first"));
  const [second, third] = [log.sync(), log.sync()];
  expect(second).toBe(third);
  const settled = log.settled().then(() => order.push("settled"));
  await Promise.all([first, second.then(() => order.push("second")), settled]);
  expect(order).toEqual(["first", "second", "settled"]);
  await log.settled();
  log.close();
});

it("fails for ever once it has failed: what the system dropped then, it does not tell again", async () => {
  const log = new LogSync(file);
  // A descriptor that is gone is the failure that can be had without a broken disk.
  log.close();
  const code = (work: Promise<void>): Promise<string> =>
    work.then(
      () => "fulfilled",
      (thrown: unknown) => asPosternError(thrown).code,
    );
  const both = [log.sync(), log.sync()];
  expect(await Promise.all(both.map(code))).toEqual(["STATE_DAMAGED", "STATE_DAMAGED"]);
  expect(await code(log.sync())).toBe("STATE_DAMAGED");
  expect(await code(log.settled())).toBe("STATE_DAMAGED");
});

it("is not made where there is no log", () => {
  expect(() => new LogSync(join(folder, "missing"))).toThrow();
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
