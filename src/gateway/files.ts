import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  type BigIntStats,
} from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../base/errno.ts";
import { PosternError, type ErrorCode } from "../base/errors.ts";
import { fileError } from "../state/file-errors.ts";

/** The mode bits that let the group or anybody write. */
export const othersMayWrite = 0o022;

/** The mode bits that let the group or anybody do anything. */
export const othersMayDoAnything = 0o077;

/** What a file holds, and what the file was when it was read. */
export interface FileContent {
  readonly bytes: Uint8Array;
  readonly stat: BigIntStats;
}

/**
 * Reads a regular file of at most `maxBytes`; never through a symbolic link, and never a pipe or a device,
 * which might block. Throws `code`, whose message begins with the path.
 */
export function readRegularFile(path: string, code: ErrorCode, maxBytes: number): FileContent {
  const refuse = (what: string, cause?: unknown): PosternError =>
    new PosternError(code, `${path}: ${what}`, { cause });
  const descriptor = opened(path, refuse);
  try {
    const stat = fstatSync(descriptor, { bigint: true });
    if (!stat.isFile()) throw refuse("it is not a regular file: put one there");
    if (stat.size > maxBytes)
      throw refuse(`it has ${stat.size} bytes, and ${maxBytes} is the most`);
    return { bytes: new Uint8Array(readFileSync(descriptor)), stat };
  } catch (thrown) {
    throw thrown instanceof PosternError ? thrown : refuse("it cannot be read", thrown);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads a file of a home that says what is run and who is trusted: whoever may write it decides that. Throws
 * like `readRegularFile`, and `HOME_UNSAFE` when others than its owner may write it.
 */
export function readGuardedFile(path: string, code: ErrorCode, maxBytes: number): FileContent {
  const content = readRegularFile(path, code, maxBytes);
  if ((Number(content.stat.mode) & othersMayWrite) === 0) return content;
  throw new PosternError(
    "HOME_UNSAFE",
    `${path}: others than its owner may write it: see that it says what it should, then run chmod 600 ${path}`,
  );
}

/** Reads a file that holds a secret. Throws like `readRegularFile`, and `HOME_UNSAFE` when others may look into it. */
export function readSecretFile(path: string, code: ErrorCode, maxBytes: number): FileContent {
  const content = readRegularFile(path, code, maxBytes);
  if ((Number(content.stat.mode) & othersMayDoAnything) === 0) return content;
  throw new PosternError(
    "HOME_UNSAFE",
    `${path}: others than its owner may read or write it: run chmod 600 ${path}, and replace what is secret in it if others could use this machine`,
  );
}

function opened(path: string, refuse: (what: string, cause?: unknown) => PosternError): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (thrown) {
    const errno = errnoOf(thrown) ?? "unknown";
    if (errno === "ENOENT")
      throw refuse("it is missing: correct its name, or bring it back from a backup", thrown);
    if (errno === "ELOOP") throw refuse("it is a symbolic link: put the file itself there", thrown);
    throw refuse(`it cannot be opened (${errno}): look at its permissions`, thrown);
  }
}

/** Makes a file that was not there, durable but for its name. Throws `STATE_FULL` or `STATE_READ_ONLY`. */
export function writeNewFile(path: string, text: string, mode = 0o600): void {
  try {
    const descriptor = openSync(path, "wx", mode);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (thrown) {
    throw fileError(thrown, path);
  }
}

/**
 * Replaces a file: whoever reads it, and whoever reads it after a crash, sees the old content or the new one.
 * One writer at a time, because the new content has one temporary name. Throws like `writeNewFile`.
 */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  try {
    rmSync(temporary, { force: true });
    writeNewFile(temporary, text);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw fileError(thrown, path);
  }
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
