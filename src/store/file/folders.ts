import { lstat, mkdir, realpath, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PosternError } from "../../base/errors.ts";
import { failedWith } from "./errors.ts";
import { syncFolder } from "./place.ts";

/** Whether `path` is a folder that is reached without following any symbolic link; `root` is known to be. */
export async function isPlainFolder(root: string, path: string): Promise<boolean> {
  if (path === root) return true;
  try {
    return (await realpath(path)) === path && (await lstat(path)).isDirectory();
  } catch (thrown) {
    if (failedWith(thrown, "ENOENT", "ENOTDIR", "ELOOP")) return false;
    throw thrown;
  }
}

/**
 * Makes the folder and those above it, as far as they are missing, and syncs their names. Throws
 * `STORE_FAILED` where something else lies in the way.
 */
export async function makeFolders(root: string, segments: readonly string[]): Promise<void> {
  let path = root;
  for (const segment of segments) {
    const parent = path;
    path = join(parent, segment);
    if (await makeFolder(path)) await syncFolder(parent);
  }
}

/** Whether it was made just now. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (thrown) {
    if (!failedWith(thrown, "EEXIST")) throw thrown;
    if ((await lstat(path)).isDirectory()) return false;
    throw new PosternError(
      "STORE_FAILED",
      `${path} is not a folder but lies where one is needed: move it away`,
      { cause: thrown },
    );
  }
}

/** Removes the folder, and those above it up to `root`, as long as they are empty. */
export async function pruneFolders(root: string, path: string): Promise<void> {
  for (let folder = path; folder !== root; folder = dirname(folder)) {
    try {
      await rmdir(folder);
    } catch {
      // Not empty, in most cases; and an empty folder that stays does no harm.
      return;
    }
  }
}
