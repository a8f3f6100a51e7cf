import { createHash } from "node:crypto";
import { link, lstat, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { PosternError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { failedWith } from "./errors.ts";
import { removeIfOlder, type FileTemporaries } from "./temporaries.ts";
import type { PutResult } from "../store.ts";

/**
 * Gives a complete, synced temporary file its final name unless that name is taken. The temporary file may
 * be left behind. Rejects with the system's own errors; ENOENT means that a folder went away meanwhile.
 */
export type Place = (temporary: string, target: string) => Promise<PutResult>;

/** A hard link: the system itself lets exactly one of all processes have the name, and only whole files. */
export const placeByLink: Place = async (temporary, target) => {
  try {
    await link(temporary, target);
    return "created";
  } catch (thrown) {
    if (!failedWith(thrown, "EEXIST")) throw thrown;
    return "exists";
  }
};

/**
 * For file systems without hard links (FAT, exFAT): a claim file of its own, made exclusively, guards the
 * look at the name and the rename over it, so that readers still see whole files only. A writer that dies
 * leaves its claim; it is removed when stale, and there two removers can meet. Hence not atomic.
 */
export function placeByClaim(clock: Clock): Place {
  return async (temporary, target) => {
    const name = createHash("sha256").update(target).digest("hex");
    const claim = join(dirname(temporary), `claim-${name}`);
    await takeClaim(claim, target, clock);
    try {
      if (await isTaken(target)) return "exists";
      await rename(temporary, target);
      return "created";
    } finally {
      await unlink(claim).catch(() => undefined);
    }
  };
}

async function takeClaim(claim: string, target: string, clock: Clock): Promise<void> {
  try {
    await (await open(claim, "wx")).close();
  } catch (thrown) {
    if (!failedWith(thrown, "EEXIST")) throw thrown;
    await removeIfOlder(claim, clock.now() - limits.staleClaimMs);
    throw new PosternError(
      "STORE_BUSY",
      `${target} is being written by another process: try again`,
      {
        cause: thrown,
      },
    );
  }
}

async function isTaken(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (thrown) {
    if (failedWith(thrown, "ENOENT")) return false;
    throw thrown;
  }
}

/** Makes the folder's names outlast a power failure, where the system has a way to. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } catch (thrown) {
    if (!failedWith(thrown, "EINVAL", "ENOTSUP", "EOPNOTSUPP")) throw thrown;
  } finally {
    await folder.close();
  }
}

/** The best that the file system can do. A folder that may only be read is opened all the same. */
export async function choosePlace(temporaries: FileTemporaries, clock: Clock): Promise<Place> {
  try {
    const linked = await temporaries.with(new Uint8Array(0), hasHardLinks);
    return linked ? placeByLink : placeByClaim(clock);
  } catch (thrown) {
    // Each put will say what is wrong.
    if (failedWith(thrown, "EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT")) return placeByLink;
    throw thrown;
  }
}

/** Found out by giving a file a second name. */
async function hasHardLinks(existing: string): Promise<boolean> {
  const second = `${existing}-link`;
  try {
    await link(existing, second);
  } catch (thrown) {
    if (failedWith(thrown, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) return false;
    throw thrown;
  }
  await unlink(second);
  return true;
}
