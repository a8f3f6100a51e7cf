import { closeSync, fdatasync, fsync, open } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { fileError } from "../file-errors.ts";

const openFile = promisify(open);
const syncData = promisify(fdatasync);
const syncFolder = promisify(fsync);

/**
 * Makes commits durable without holding up the process, and several at once where they come together: they
 * are in the write-ahead log when they are made, whose order is theirs, and one sync of the log makes all durable
 * that lie in it, whichever process wrote them. SQLite itself syncs the log before it moves it into the
 * database (https://www.sqlite.org/wal.html, "Checkpointing"), so nothing of what is durable is lost there.
 *
 * Opening the log beside SQLite is safe: its locks lie on the database and on the index of the log, never on
 * the log, which stays the same file for as long as any connection is open.
 */
export class LogSync {
  readonly #log: string;
  #descriptor: number | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** `file` is the database's. */
  constructor(file: string) {
    this.#log = `${file}-wal`;
  }

  /** What still has to settle before everything is durable that was asked for until now; undefined for nothing. */
  get pending(): Promise<void> | undefined {
    return this.#next ?? this.#running;
  }

  /** Resolves once all that is committed by now is durable. Rejects with `STATE_FULL`, `STATE_READ_ONLY` or `INTERNAL`. */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    // One that runs already may have passed by what was committed since.
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    return this.#next;
  }

  /** Lets go of the log; nothing may be pending. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #begin(): Promise<void> {
    const running = this.#syncNow().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #syncNow(): Promise<void> {
    try {
      this.#descriptor ??= await this.#open();
      await syncData(this.#descriptor);
    } catch (thrown) {
      throw fileError(thrown, this.#log);
    }
  }

  /** The log may be new: then its name has to become durable, too. */
  async #open(): Promise<number> {
    const folder = await openFile(dirname(this.#log), "r");
    try {
      await syncFolder(folder);
    } finally {
      closeSync(folder);
    }
    return openFile(this.#log, "r");
  }
}
