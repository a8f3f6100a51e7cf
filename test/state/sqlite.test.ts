import {
  copyFileSync,
  existsSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { chmod, mkdir, mkdtemp, open, rm, symlink, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asPosternError, type ErrorCode } from "../../src/base/errors.ts";
import {
  createSqliteState,
  openSqliteState,
  recoverSqliteState,
  replaceSqliteState,
  type SqliteStateOptions,
} from "../../src/state/sqlite.ts";
import { SqliteDatabase } from "../../src/state/sqlite/database.ts";
import { sqliteError } from "../../src/state/sqlite/errors.ts";
import { requireKnownVersion } from "../../src/state/sqlite/schema.ts";
import type { State } from "../../src/state/state.ts";
import { canMount, Disk } from "../support/disk.ts";
import { stateContract } from "../contract/state-contract.ts";
import { endedAt, put, receiptFor, refusedObject, SetClock } from "./samples.ts";

stateContract("sqlite", async (nowMs) => {
  const folder = await newFolder();
  const file = join(folder, "state.sqlite");
  const made = await createSqliteState({ file, clock: new SetClock(nowMs), machine: "m" });
  await made.close();
  return {
    open: (clock) => openSqliteState({ file, clock, machine: "m" }),
    dispose: () => rm(folder, { recursive: true }),
  };
});

describe("a sqlite state", () => {
  const clock = new SetClock(1000);
  const all = { limit: 99 };
  let root: string;
  let home: string;
  let file: string;
  let options: SqliteStateOptions;

  beforeEach(async () => {
    root = await newFolder();
    home = join(root, "a home? 100%#1");
    await mkdir(home);
    file = join(home, "state.sqlite");
    options = { file, clock, machine: "m" };
  });
  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  /** A state with one receipt in it, closed. */
  async function made(): Promise<void> {
    const state = await createSqliteState(options);
    await put(state, receiptFor("a"));
    await state.close();
  }

  describe("is made", () => {
    it("once: where a state stands, HOME_EXISTS, and it stays as it is", async () => {
      await made();
      await expect(createSqliteState(options)).rejects.toMatchObject(coded("HOME_EXISTS"));
      const state = await openSqliteState(options);
      expect(await state.receipts(all)).toStrictEqual([receiptFor("a")]);
      await state.close();
    });

    it("not over another file, nor over the log that a lost state left", async () => {
      writeFileSync(`${file}-wal`, "what is left");
      await expect(createSqliteState(options)).rejects.toMatchObject(coded("HOME_EXISTS"));
      renameSync(`${file}-wal`, file);
      await expect(createSqliteState(options)).rejects.toMatchObject(coded("HOME_EXISTS"));
      expect(statSync(file).size).toBe(12);
    });

    it("only in a folder that is there", async () => {
      await expect(
        createSqliteState({ ...options, file: join(home, "no", "s") }),
      ).rejects.toMatchObject(coded("HOME_MISSING"));
    });

    it("whole or not at all: a failure leaves nothing behind", async () => {
      await expect(createSqliteState({ ...options, maxPages: 3 })).rejects.toMatchObject(
        coded("STATE_FULL"),
      );
      expect(readdirSync(home)).toStrictEqual([]);
    });

    it("in the place of a lost one: recovered, even if whoever makes it dies right after", async () => {
      await (await replaceSqliteState(options)).state.close();
      const state = await openSqliteState(options);
      expect(await state.owner()).toMatchObject({ bornMs: 1000, recovering: true });
      await state.close();
    });

    it.skipIf(process.platform !== "linux")(
      "and leaves nothing open once it is closed",
      async () => {
        await made();
        await (await replaceSqliteState({ ...options, file: `${file}2` })).state.close();
        expect(openBelow(home)).toStrictEqual([]);
      },
    );

    it("for nobody else to read, its log and index as well", async () => {
      const state = await createSqliteState(options);
      await put(state, receiptFor("a"));
      const modes = readdirSync(home).map((name) => [
        name,
        statSync(join(home, name)).mode & 0o777,
      ]);
      expect(modes).toStrictEqual([
        ["state.sqlite", 0o600],
        ["state.sqlite-shm", 0o600],
        ["state.sqlite-wal", 0o600],
      ]);
      await state.close();
    });

    it("of one file, once it is closed", async () => {
      await made();
      expect(readdirSync(home)).toStrictEqual(["state.sqlite"]);
    });
  });

  describe("is opened", () => {
    it("only where one is: STATE_MISSING makes none", async () => {
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_MISSING"));
      await expect(recoverSqliteState(options)).rejects.toMatchObject(coded("STATE_MISSING"));
      expect(existsSync(file)).toBe(false);
    });

    it("not by a program that is older than it, and is not changed by that", async () => {
      await made();
      const version = versionOf(file);
      edit(file, `PRAGMA user_version = ${version + 1}`);
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_UNSUPPORTED"));
      await expect(recoverSqliteState(options)).rejects.toMatchObject(coded("STATE_UNSUPPORTED"));
      edit(file, `PRAGMA user_version = ${version}`);
      await (await openSqliteState(options)).close();
    });

    it("not when it is some other program's database", async () => {
      edit(file, "CREATE TABLE theirs (x)");
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
      await expect(recoverSqliteState(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
    });

    it("not when it is no database", async () => {
      writeFileSync(file, "x".repeat(9000));
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
      await expect(recoverSqliteState(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
    });

    it("not when it is empty", async () => {
      writeFileSync(file, "");
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
    });
  });

  describe("knows its place", () => {
    it("and is found by the folder's real path", async () => {
      await made();
      await symlink(home, join(root, "link"));
      const linked = { ...options, file: join(root, "link", "state.sqlite") };
      const state = await openSqliteState(linked);
      expect(await state.receipt(receiptFor("a"))).toStrictEqual(receiptFor("a"));
      await state.close();
    });

    it("on another machine: STATE_ELSEWHERE", async () => {
      await made();
      await expect(openSqliteState({ ...options, machine: "n" })).rejects.toMatchObject(
        coded("STATE_ELSEWHERE"),
      );
    });

    it("in a folder that was moved: STATE_ELSEWHERE", async () => {
      await made();
      renameSync(home, join(root, "moved"));
      const moved = { ...options, file: join(root, "moved", "state.sqlite") };
      await expect(openSqliteState(moved)).rejects.toMatchObject(coded("STATE_ELSEWHERE"));
    });

    it("as a file that was brought back under its name: STATE_ELSEWHERE", async () => {
      await made();
      copyFileSync(file, `${file}.copy`);
      renameSync(`${file}.copy`, file);
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_ELSEWHERE"));
      const said = await openSqliteState(options).catch(asPosternError);
      expect(said).toMatchObject({ message: expect.stringContaining("postern state recover") });
    });

    it("and takes a new one by recover, which is born there and forgets what it was", async () => {
      const state = await createSqliteState(options);
      await put(state, receiptFor("open"));
      await put(state, receiptFor("over", endedAt(1)));
      await state.commitOwnerNonce("n");
      await state.noteOwner({
        begunMs: 1,
        bornMs: 0,
        generation: 4,
        claimedMs: 1,
        elsewhere: true,
      });
      await state.close();
      copyFileSync(file, `${file}.copy`);
      renameSync(`${file}.copy`, file);
      await chmod(file, 0o644);

      const elsewhere = { ...options, machine: "n", clock: new SetClock(2000) };
      const recovered = await recoverSqliteState(elsewhere);
      expect(recovered).toMatchObject({ bornMs: 2000, open: [receiptFor("open")] });
      await recovered.state.close();

      expect(statSync(file).mode & 0o777).toBe(0o600);
      const again = await openSqliteState(elsewhere);
      const view = await again.stepRun(receiptFor("a"), (seen) => ({ answer: seen }));
      const owner = { lookMs: null, generation: 4, claimedMs: null, elsewhere: false };
      expect(view).toMatchObject({ highestClockMs: 2000, owner: { bornMs: 2000, ...owner } });
      expect(await again.knowsOwnerNonce("n")).toBe(false);
      await again.close();
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_ELSEWHERE"));
    });
  });

  describe("that is damaged", () => {
    it("rejects as STATE_DAMAGED when pages are overwritten", async () => {
      const state = await createSqliteState(options);
      for (let index = 0; index < 200; index += 1) await put(state, receiptFor(`${index}`));
      await state.close();
      const pages = await open(file, "r+");
      const { size } = await pages.stat();
      for (let at = 4096; at < size; at += 4096)
        await pages.write(Buffer.alloc(2000, 0xa5), 0, 2000, at);
      await pages.close();
      await expect(readsAll(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
    });

    it("rejects as STATE_DAMAGED when the file's end is gone", async () => {
      await made();
      await truncate(file, 8192);
      await expect(readsAll(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
    });

    it.each([
      ["a run id that is none", "UPDATE receipts SET run_id = 'x'"],
      ["an outcome that is no JSON", "UPDATE receipts SET outcome = '{'"],
      ["an outcome with a made-up status", `UPDATE receipts SET outcome = '{"status":"x"}'`],
      ["no row about itself", "DELETE FROM meta"],
    ])("rejects as STATE_DAMAGED when it holds %s", async (_, change) => {
      await made();
      edit(file, change);
      await expect(readsAll(options)).rejects.toMatchObject(coded("STATE_DAMAGED"));
    });
  });

  it.skipIf(!canMount)(
    "on a disk that is read-only is STATE_READ_ONLY, at rest or not",
    async () => {
      using disk = new Disk(home, "1m");
      await made();
      const asKilled = `${file}.killed`;
      const alive = await openSqliteState(options);
      for (const ending of ["", "-wal", "-shm"])
        copyFileSync(`${file}${ending}`, `${asKilled}${ending}`);
      await alive.close();
      disk.mayBeWritten(false);
      await expect(openSqliteState(options)).rejects.toMatchObject(coded("STATE_READ_ONLY"));
      const recovering = recoverSqliteState({ ...options, file: asKilled });
      await expect(recovering).rejects.toMatchObject(coded("STATE_READ_ONLY"));
    },
  );

  describe("on a disk that is full", () => {
    it("rejects as STATE_FULL, keeps what it has, and goes on when there is room", async () => {
      await made();
      const pages = statSync(file).size / 4096;
      const full = await openSqliteState({ ...options, maxPages: pages + 8 });
      const large = receiptFor("large", { request: new Uint8Array(100_000) });
      await expect(put(full, large)).rejects.toMatchObject(coded("STATE_FULL"));
      expect(await full.receipts(all)).toStrictEqual([receiptFor("a")]);
      await put(full, receiptFor("small"));
      await full.close();
      const roomy = await openSqliteState(options);
      await put(roomy, large);
      expect((await roomy.receipts(all)).length).toBe(3);
      await roomy.close();
    });

    it("still collects, which makes room", async () => {
      await made();
      const pages = statSync(file).size / 4096;
      const state = await openSqliteState({ ...options, maxPages: pages + 8 });
      const sized = (key: string): Parameters<State["quarantine"]>[0] =>
        refusedObject({ key, bytes: new Uint8Array(20_000), size: 20_000, atMs: 1 });
      const budget = { maxBytes: 1e6, maxEntries: 9 };
      expect(await state.quarantine(sized("a"), budget)).toBe("kept");
      await expect(state.quarantine(sized("b"), budget)).rejects.toMatchObject(coded("STATE_FULL"));
      const collected = await state.collect({ limit: 9, skewMs: 0, retentionMs: 0 });
      expect(collected.quarantine).toBe(1);
      expect(await state.quarantine(sized("b"), budget)).toBe("kept");
      await state.close();
    });
  });

  describe("a step", () => {
    it("that writes nothing touches no disk", async () => {
      const state = await createSqliteState(options);
      await put(state, receiptFor("a"));
      const before = statSync(`${file}-wal`, { bigint: true });
      clock.ms += 1;
      await state.stepRun(receiptFor("a"), () => ({ answer: 1 }));
      await state.noteOwner({
        begunMs: 0,
        bornMs: 0,
        generation: 0,
        claimedMs: null,
        elsewhere: false,
      });
      await state.commitOwnerNonce("n");
      const written = statSync(`${file}-wal`, { bigint: true });
      await state.commitOwnerNonce("n");
      await state.clearTrouble("nobody");
      await state.discardQuarantined("nothing");
      await state.collect({ limit: 9, skewMs: 0, retentionMs: 0 });
      await state.overview();
      const after = statSync(`${file}-wal`, { bigint: true });
      expect(written.size).toBeGreaterThan(before.size);
      expect([after.size, after.mtimeNs]).toStrictEqual([written.size, written.mtimeNs]);
      await state.close();
    });

    it("that finds the state held too long is STATE_BUSY", async () => {
      await made();
      const [holder, waiter] = [new DatabaseSync(file), new DatabaseSync(file, { timeout: 0 })];
      holder.exec("BEGIN IMMEDIATE");
      expect(() => codedExec(waiter, "BEGIN IMMEDIATE")).toThrow(
        expect.objectContaining(coded("STATE_BUSY")),
      );
      for (const database of [waiter, holder]) database.close();
    });

    it("on a state that cannot be written is STATE_READ_ONLY", async () => {
      await made();
      const readOnly = new DatabaseSync(file, { readOnly: true });
      expect(() => codedExec(readOnly, "DELETE FROM receipts")).toThrow(
        expect.objectContaining(coded("STATE_READ_ONLY")),
      );
      readOnly.close();
    });
  });
});

function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "postern-state-"));
}

function coded(code: ErrorCode): { name: string; code: ErrorCode } {
  return { name: "PosternError", code };
}

/** Opens a state and reads what is in it. */
async function readsAll(options: SqliteStateOptions): Promise<void> {
  const state = await openSqliteState(options);
  try {
    await state.owner();
    await state.receipts({ limit: 1000 });
  } finally {
    await state.close();
  }
}

function versionOf(file: string): number {
  const database = new SqliteDatabase({ file });
  const version = requireKnownVersion(database);
  database.close();
  return version;
}

/** What this process has open below a folder, deleted files among it. */
function openBelow(folder: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((number) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${number}`);
      return target.startsWith(folder) ? [target] : [];
    } catch {
      // It was open to list them.
      return [];
    }
  });
}

/** Changes a state's file as nothing of ours would. */
function edit(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

function codedExec(database: DatabaseSync, sql: string): void {
  try {
    database.exec(sql);
  } catch (thrown) {
    throw sqliteError(thrown, "state.sqlite");
  }
}

it("a relaxed write does not wait for the disk, and a durable one after it does", async () => {
  const folder = await newFolder();
  const file = join(folder, "state.sqlite");
  await (await createSqliteState({ file, clock: new SetClock(1), machine: "m" })).close();
  const database = new SqliteDatabase({ file });
  const levels = (["relaxed", "durable", "relaxed"] as const).map((commit) => {
    database.write(() => database.run("UPDATE meta SET generation = generation + 1"), commit);
    return database.get("PRAGMA synchronous")?.integer("synchronous");
  });
  expect(levels).toEqual([1, 2, 1]);
  database.close();
  await rm(folder, { recursive: true });
});
