import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { PosternError } from "../../base/errors.ts";
import { fileError, linkError } from "../file-errors.ts";
import { recoveredMeta } from "../recover.ts";
import { newMeta } from "../rules.ts";
import { SqliteDatabase } from "./database.ts";
import { identityOf, recordIdentity } from "./identity.ts";
import { metaColumns } from "./meta.ts";
import { markAsState, migrate } from "./schema.ts";

export interface NewStateFile {
  readonly file: string;
  readonly machine: string;
  readonly nowMs: number;
  readonly maxPages?: number;
  /** It takes the place of one that is lost: whoever finds it, and whenever, finds it recovered. */
  readonly recovered?: boolean;
}

/**
 * Makes a state's file, whole or not at all: it is built under another name in a folder of its own, and a
 * link that never replaces anything gives it its name. Throws as `createSqliteState` rejects.
 */
export function createStateFile(made: NewStateFile): void {
  const { file } = made;
  if (existsSync(file)) throw stateExists(file);
  // SQLite would play the log of a state that is gone into the new one.
  if (existsSync(`${file}-wal`)) throw logExists(`${file}-wal`);
  const folder = temporaryFolder(file);
  try {
    const unnamed = join(folder, "state");
    build(unnamed, made);
    publish(unnamed, file);
  } catch (thrown) {
    throw fileError(thrown, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function temporaryFolder(file: string): string {
  try {
    return mkdtempSync(join(dirname(file), ".state-"));
  } catch (thrown) {
    if (errnoOf(thrown) !== "ENOENT") throw fileError(thrown, file);
    throw new PosternError("HOME_MISSING", `there is no folder for ${file}: make it first`, {
      cause: thrown,
    });
  }
}

function build(unnamed: string, made: NewStateFile): void {
  const { file, machine, nowMs, maxPages, recovered = false } = made;
  // SQLite gives its other files the mode of this one.
  closeSync(openSync(unnamed, "wx", 0o600));
  const bound = maxPages === undefined ? {} : { maxPages };
  const database = new SqliteDatabase({ file: unnamed, ...bound });
  try {
    markAsState(database);
    migrate(database);
    database.write(() => {
      recordIdentity(database, {
        ...identityOf(unnamed, machine),
        folder: realpathSync(dirname(file)),
      });
      const meta = newMeta(nowMs);
      // There is nothing else to recover in a state that is new.
      const columns = metaColumns(recovered ? recoveredMeta(meta, nowMs) : meta);
      database.put("meta", ["one"], columns);
    });
  } finally {
    // The last connection to close moves the log into the file: what is linked is complete.
    database.close();
  }
}

function publish(unnamed: string, file: string): void {
  try {
    linkSync(unnamed, file);
  } catch (thrown) {
    if (errnoOf(thrown) === "EEXIST") throw stateExists(file);
    throw linkError(thrown, file);
  }
  const folder = openSync(dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function stateExists(file: string): PosternError {
  return new PosternError("HOME_EXISTS", `there is a state at ${file}: it stays as it is`);
}

function logExists(log: string): PosternError {
  return new PosternError(
    "HOME_EXISTS",
    `${log} is the log of a state that is gone: bring that back, or move the log away, and try again`,
  );
}
