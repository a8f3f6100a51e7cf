import { chmodSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { errnoOf } from "../base/errno.ts";
import { toBase32 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { makePath } from "../base/folders.ts";
import { limits } from "../base/limits.ts";
import { isWorkerId, type WorkerId } from "../base/names.ts";
import type { Random } from "../base/random.ts";
import { sqliteUri } from "../state/sqlite/database.ts";
import { fileError } from "../state/file-errors.ts";
import { sqliteError } from "../state/sqlite/errors.ts";
import type { Liveness } from "./mailbox.ts";

/** One process that admits: it is known to live for as long as it holds the lock on its own file. */
export interface Worker extends Liveness {
  /**
   * Removes the files of workers that are gone and that no open receipt names; says how many. `inUse` is
   * asked after the gone ones are known: whoever is gone admits nothing more, so its answer holds.
   */
  sweep(inUse: () => Promise<ReadonlySet<WorkerId>>): Promise<number>;
  /** Lets go: from here on others see this worker as gone. Its file stays until it is swept. */
  close(): void;
}

const lockEnding = ".lock";
/** A file that is not locked yet, under a name that nobody asks about. */
const startEnding = ".start";

/** A lock must last as long as its process, and not only until its database object is collected as garbage. */
const held = new Set<DatabaseSync>();

/**
 * Starts a worker in `folder`, which all workers of one home share. Its sign of life is an exclusive
 * transaction on a small SQLite file of its own: the operating system drops the lock when the process dies,
 * however it dies, so liveness needs no clock, and no process number that means nothing in the next container.
 *
 * Nothing in the process may open the file by other means: closing any descriptor of a file drops the locks
 * that the process holds on it (POSIX fcntl). That is also why a worker never probes itself.
 *
 * Throws `STATE_READ_ONLY`, `STATE_FULL` or `INTERNAL` when its file cannot be made.
 */
export function openWorker(options: { readonly folder: string; readonly random: Random }): Worker {
  const { folder, random } = options;
  withFiles(folder, () => makePath(folder, 0o700));
  const { self, lock } = started(folder, random);
  held.add(lock);
  return {
    self,
    isGone: (worker) => worker !== self && isUnlocked(join(folder, `${worker}${lockEnding}`)),
    sweep: (inUse) => sweep(folder, self, inUse),
    close: () => {
      if (held.delete(lock)) lock.close();
    },
  };
}

/** The file gets its name only once it is locked: whoever finds it under that name finds it locked. */
function started(folder: string, random: Random): { self: WorkerId; lock: DatabaseSync } {
  for (let start = 1; start <= limits.workerStarts; start += 1) {
    const self = newWorkerId(random);
    const unnamed = join(folder, `${self}${startEnding}`);
    const lock = locked(unnamed);
    try {
      chmodSync(unnamed, 0o600);
      renameSync(unnamed, join(folder, `${self}${lockEnding}`));
      return { self, lock };
    } catch (thrown) {
      lock.close();
      // A sweep may have taken the file for a left-over, in the moment before it was locked.
      if (errnoOf(thrown) !== "ENOENT") throw fileError(thrown, folder);
    }
  }
  throw new PosternError(
    "INTERNAL",
    `no lock file could be made in ${folder}: something removes them`,
  );
}

function newWorkerId(random: Random): WorkerId {
  const id = toBase32(random.bytes(16));
  if (isWorkerId(id)) return id;
  throw new PosternError("INTERNAL", "16 random bytes did not make a worker id");
}

function locked(file: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(sqliteUri(file, "rwc"), { timeout: limits.stateBusyMs });
    // The transaction writes nothing and never ends: it needs no journal beside the file.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (thrown) {
    lock?.close();
    throw sqliteError(thrown, file);
  }
}

/** Whether the file is there and nobody holds it. A probe reads: any number of them stand beside each other. */
function isUnlocked(file: string): boolean {
  let probe: DatabaseSync | undefined;
  try {
    probe = new DatabaseSync(sqliteUri(file, "rw"), { timeout: 0 });
    probe.prepare("SELECT count(*) FROM sqlite_schema").get();
    return true;
  } catch {
    // It is held, or it is missing, or it cannot be read: none of that proves that its worker is gone.
    return false;
  } finally {
    probe?.close();
  }
}

async function sweep(
  folder: string,
  self: WorkerId,
  inUse: () => Promise<ReadonlySet<WorkerId>>,
): Promise<number> {
  const over: string[] = [];
  const gone: WorkerId[] = [];
  for (const name of withFiles(folder, () => readdirSync(folder))) {
    const worker = name.slice(0, -lockEnding.length);
    if (name.endsWith(startEnding) && isUnlocked(join(folder, name))) over.push(name);
    if (!name.endsWith(lockEnding) || !isWorkerId(worker) || worker === self) continue;
    if (isUnlocked(join(folder, name))) gone.push(worker);
  }
  const named = gone.length === 0 ? new Set<WorkerId>() : await inUse();
  over.push(
    ...gone.filter((worker) => !named.has(worker)).map((worker) => `${worker}${lockEnding}`),
  );
  for (const name of over) withFiles(folder, () => rmSync(join(folder, name), { force: true }));
  return over.length;
}

function withFiles<T>(folder: string, use: () => T): T {
  try {
    return use();
  } catch (thrown) {
    throw fileError(thrown, folder);
  }
}
