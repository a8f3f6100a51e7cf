import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { PosternError } from "../../base/errors.ts";
import { fileError } from "../file-errors.ts";

const syncData = promisify(fdatasync);

/**
 * Makes commits durable without holding up the process, and several at once where they come together: they
 * are in the write-ahead log when they are made, whose order is theirs, and one sync of the log makes all durable
 * that lie in it, whichever process wrote them. SQLite itself syncs the log before it moves it into the
 * database (https://www.sqlite.org/wal.html, "Checkpointing"), so nothing of what is durable is lost there.
 *
 * Opening the log beside SQLite is safe: its locks lie on the database and on the index of the log, never on
 * the log, which stays the same file for as long as any connection is open.
 *
 * A sync that fails is the last one: the system may have dropped what it could not write, and tells it once.
 */
export class LogSync {
  readonly #log: string;
  readonly #descriptor: number;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: PosternError | undefined;

  /** `file` is a database that is open, and was read: then its log is there. Throws as `fileError` says. */
  constructor(file: string) {
    this.#log = `${file}-wal`;
    try {
      this.#descriptor = openSync(this.#log, "r");
      // The log may be new: then its name has to become durable, too.
      const folder = openSync(dirname(file), "r");
      fsyncSync(folder);
      closeSync(folder);
    } catch (thrown) {
      throw fileError(thrown, this.#log);
    }
  }

  /**
   * Resolves once everything is durable whose sync was asked for until now. Rejects with `STATE_DAMAGED` once a
   * sync has failed, whatever was committed since.
   */
  async settled(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await (this.#next ?? this.#running);
  }

  /** Resolves once all that is committed by now is durable. Rejects with `STATE_DAMAGED`, then and from then on. */
  sync(): Promise<void> {
    if (this.#running === undefined && this.#next === undefined) return this.#begin();
    // One that runs already may have passed by what was committed since.
    this.#next ??= (this.#running ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    return this.#next;
  }

  /** Lets go of the log; nothing may be pending. */
  close(): void {
    closeSync(this.#descriptor);
  }

  #begin(): Promise<void> {
    const running = this.#syncNow().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #syncNow(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await syncData(this.#descriptor);
    } catch (cause) {
      const what = `${this.#log}: its disk cannot be written (${String(cause)}), and what was committed last may not last: mend the disk, bring back a good copy, and run \`postern state recover\``;
      this.#failure = new PosternError("STATE_DAMAGED", what, { cause });
      throw this.#failure;
    }
  }
}
