import { lstat, mkdir, open, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { toBase32 } from "../../base/bytes.ts";
import { PosternError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { failedWith } from "./errors.ts";

const temporaryFolderName = ".postern-tmp";

/** Unfinished files: on the same device as the objects, and out of sight of `list`. */
export class FileTemporaries {
  readonly #folder: string;
  readonly #random: Random;

  constructor(root: string, random: Random) {
    this.#folder = join(root, temporaryFolderName);
    this.#random = random;
  }

  newName(): string {
    return toBase32(this.#random.bytes(16));
  }

  /** Throws `STORE_FAILED` where a symbolic link would lead the files elsewhere. */
  async check(): Promise<void> {
    const stats = await lstat(this.#folder).catch((thrown: unknown) => {
      if (!failedWith(thrown, "ENOENT")) throw thrown;
    });
    if (stats === undefined || stats.isDirectory()) return;
    throw new PosternError("STORE_FAILED", `${this.#folder} is not a folder: move it away`);
  }

  /** Writes the bytes to a file, hands its path on, and removes it. */
  async with<Result>(bytes: Uint8Array, use: (path: string) => Promise<Result>): Promise<Result> {
    const path = join(this.#folder, this.newName());
    try {
      await this.#write(path, bytes);
      return await use(path);
    } finally {
      await unlink(path).catch(() => undefined);
    }
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    try {
      await writeNew(path, bytes);
    } catch (thrown) {
      if (!failedWith(thrown, "ENOENT")) throw thrown;
      await mkdir(this.#folder).catch((failure: unknown) => {
        // Another process was as quick.
        if (!failedWith(failure, "EEXIST")) throw failure;
      });
      await writeNew(path, bytes);
    }
  }

  /** Removes, or only counts, what processes that died have left. Somebody else's files only take room. */
  async sweep(olderThanMs: number, { dryRun = false } = {}): Promise<number> {
    const names = await readdir(this.#folder).catch(() => []);
    let swept = 0;
    for (const name of names) {
      const path = join(this.#folder, name);
      const old = await (dryRun ? isOlder : removeIfOlder)(path, olderThanMs).catch(() => false);
      if (old) swept += 1;
    }
    return swept;
  }
}

/**
 * Removes a left-over file that was last written before `ms`, and says whether it was. Whoever else removes it
 * first does no harm.
 */
export async function removeIfOlder(path: string, ms: number): Promise<boolean> {
  try {
    if (!(await isOlder(path, ms))) return false;
    await unlink(path);
    return true;
  } catch (thrown) {
    if (!failedWith(thrown, "ENOENT")) throw thrown;
    return false;
  }
}

async function isOlder(path: string, ms: number): Promise<boolean> {
  return (await lstat(path)).mtimeMs < ms;
}

/** Writes a new file and syncs its bytes. The name must not be taken. */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
