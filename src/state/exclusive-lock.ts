import { errnoOf } from "../base/errno.ts";
import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileError } from "./file-errors.ts";
import { sqliteUri } from "./sqlite/database.ts";
import { sqliteError } from "./sqlite/errors.ts";

/** A lock must last as long as its process, and not only until its database object is collected as garbage. */
const held = new Set<DatabaseSync>();

/**
 * Holds a lock until it is disposed of, or the process ends in whatever way: it is an exclusive transaction
 * on a small SQLite file, which the operating system drops by itself. Undefined when another process holds
 * it for longer than `waitMs`. Throws `STATE_READ_ONLY`, `STATE_FULL` or `INTERNAL` when its file cannot be made;
 * the folder must be there.
 */
export function holdExclusive(file: string, waitMs: number): Disposable | undefined {
  makeFile(file);
  const lock = opened(file, waitMs);
  try {
    // The transaction writes nothing: it needs no journal beside the file.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (thrown) {
    lock.close();
    const error = sqliteError(thrown, file);
    if (error.code === "STATE_BUSY") return undefined;
    throw error;
  }
  held.add(lock);
  return {
    [Symbol.dispose]: () => {
      if (held.delete(lock)) lock.close();
    },
  };
}

/** Made here, because SQLite would make it for everybody to read. */
function makeFile(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (thrown) {
    if (errnoOf(thrown) !== "EEXIST") throw fileError(thrown, file);
  }
}

function opened(file: string, waitMs: number): DatabaseSync {
  try {
    return new DatabaseSync(sqliteUri(file, "rw"), { timeout: waitMs });
  } catch (thrown) {
    throw sqliteError(thrown, file);
  }
}
