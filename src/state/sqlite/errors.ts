import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import { PosternError, type ErrorCode } from "../../base/errors.ts";
import { fileError } from "../file-errors.ts";

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html): the low byte of an extended code. */
const primaryCodes: ReadonlyMap<number, readonly [ErrorCode, string]> = new Map([
  [5, ["STATE_BUSY", "another process held it too long: try again"]],
  [6, ["STATE_BUSY", "another process held it too long: try again"]],
  [
    8,
    [
      "STATE_READ_ONLY",
      "it cannot be written: look at the permissions and how its disk is mounted",
    ],
  ],
  [10, ["STATE_DAMAGED", "its disk reports an error: mend the disk, then run `postern doctor`"]],
  [
    11,
    [
      "STATE_DAMAGED",
      "its content is damaged: put a good copy there and run `postern state recover`",
    ],
  ],
  [13, ["STATE_FULL", "there is no room to write: make room and try again"]],
  [
    14,
    ["STATE_DAMAGED", "it cannot be opened: look at the permissions of the file and its folder"],
  ],
  [15, ["STATE_BUSY", "other processes were in the way: try again"]],
  [
    26,
    ["STATE_DAMAGED", "it is no database: put a good copy there and run `postern state recover`"],
  ],
]);
/** SQLITE_IOERR_SHMSIZE: the index of the log could not be made larger, which is how a full disk shows there. */
const sharedMemoryFull = 4874;

/** The coded error for what `node:sqlite` threw; anything it does not know is `INTERNAL`. */
export function sqliteError(thrown: unknown, file: string): PosternError {
  if (thrown instanceof PosternError) return thrown;
  const result = sqliteCodeOf(thrown);
  // It says the same of a file it may not open, and of one beside which it cannot make the index of the log.
  const unwritable = ((result ?? 0) & 0xff) === 14 ? unwritableFolder(file) : undefined;
  if (unwritable !== undefined) return unwritable;
  const known = primaryCodes.get(result === sharedMemoryFull ? 13 : (result ?? 0) & 0xff);
  const [code, advice] = known ?? ["INTERNAL", "it failed unexpectedly"];
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  return new PosternError(code, `${file}: ${advice} (${said})`, { cause: thrown });
}

function unwritableFolder(file: string): PosternError | undefined {
  try {
    accessSync(dirname(file), constants.W_OK);
    return undefined;
  } catch (thrown) {
    const error = fileError(thrown, file);
    return error.code === "STATE_READ_ONLY" ? error : undefined;
  }
}

/** The extended result code in an error of `node:sqlite`, or undefined for other errors. */
function sqliteCodeOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !("errcode" in thrown)) return undefined;
  return typeof thrown.errcode === "number" ? thrown.errcode : undefined;
}
