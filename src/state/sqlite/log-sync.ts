import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { PosternError } from "../../base/errors.ts";
import { fileError } from "../file-errors.ts";
import { Syncs } from "../syncs.ts";

const syncData = promisify(fdatasync);

/**
 * Makes commits durable without holding up the process: they are in the write-ahead log when they are made, whose
 * order is theirs, and one sync of the log makes all durable that lie in it, whichever process wrote them. SQLite
 * itself syncs the log before it moves it into the database (https://www.sqlite.org/wal.html, "Checkpointing"), so
 * nothing of what is durable is lost there. Syncs fail with `STATE_DAMAGED`.
 *
 * Opening the log beside SQLite is safe: its locks lie on the database and on the index of the log, never on
 * the log, which stays the same file for as long as any connection is open.
 */
export class LogSync extends Syncs {
  readonly #descriptor: number;

  /** `file` is a database that is open, and was read: then its log is there. Throws as `fileError` says. */
  constructor(file: string) {
    const log = `${file}-wal`;
    const descriptor = opened(log);
    super(() => syncLog(log, descriptor));
    this.#descriptor = descriptor;
  }

  /** Lets go of the log; nothing may be pending. */
  close(): void {
    closeSync(this.#descriptor);
  }
}

function opened(log: string): number {
  try {
    const descriptor = openSync(log, "r");
    // The log may be new: then its name has to become durable, too.
    const folder = openSync(dirname(log), "r");
    fsyncSync(folder);
    closeSync(folder);
    return descriptor;
  } catch (thrown) {
    throw fileError(thrown, log);
  }
}

async function syncLog(log: string, descriptor: number): Promise<void> {
  try {
    await syncData(descriptor);
  } catch (cause) {
    const what = `${log}: its disk cannot be written (${String(cause)}), and what was committed last may not last: mend the disk, bring back a good copy, and run \`postern state recover\``;
    throw new PosternError("STATE_DAMAGED", what, { cause });
  }
}
