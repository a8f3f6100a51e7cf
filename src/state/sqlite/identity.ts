import { realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { PosternError } from "../../base/errors.ts";
import type { SqliteDatabase } from "./database.ts";

/** Where a state lies: what changes when it, or the home around it, is copied or brought back. */
export interface Identity {
  /** What names this machine: the content of `/etc/machine-id`, say. */
  readonly machine: string;
  /** The folder's real path. */
  readonly folder: string;
  /** The file's number within its file system; devices are numbered anew at every start and do not count. */
  readonly inode: string;
}

export function identityOf(file: string, machine: string): Identity {
  const folder = realpathSync(dirname(file));
  return { machine, folder, inode: statSync(file, { bigint: true }).ino.toString() };
}

export function recordIdentity(
  database: SqliteDatabase,
  { machine, folder, inode }: Identity,
): void {
  const sql = `INSERT INTO identity (one, machine, folder, inode) VALUES (1, ?, ?, ?)
    ON CONFLICT (one) DO UPDATE SET machine = excluded.machine, folder = excluded.folder, inode = excluded.inode`;
  database.run(sql, machine, folder, inode);
}

/** Throws `STATE_ELSEWHERE` when the state was made, or last recovered, as another file or in another place. */
export function requireIdentity(database: SqliteDatabase, here: Identity): void {
  const row = database.get("SELECT machine, folder, inode FROM identity");
  const changed: string[] = [];
  if (row?.text("machine") !== here.machine) changed.push("machine");
  if (row?.text("folder") !== here.folder) changed.push("folder");
  if (row?.text("inode") !== here.inode) changed.push("file");
  if (changed.length === 0) return;
  throw new PosternError(
    "STATE_ELSEWHERE",
    `${database.file} was copied, moved or brought back (another ${changed.join(", another ")}): ` +
      "stop whatever else serves this name, then run `postern state recover`",
  );
}
