import { errnoOf } from "../base/errno.ts";
import { asPosternError, PosternError, type ErrorCode } from "../base/errors.ts";

const noPermission = "it cannot be written: look at the permissions of its folder";
const noRoom = "there is no room to write: make room and try again";
const fileCodes: ReadonlyMap<string, readonly [ErrorCode, string]> = new Map([
  ["EACCES", ["STATE_READ_ONLY", noPermission]],
  ["EPERM", ["STATE_READ_ONLY", noPermission]],
  ["EROFS", ["STATE_READ_ONLY", "its file system is mounted read-only"]],
  ["ENOSPC", ["STATE_FULL", noRoom]],
  ["EDQUOT", ["STATE_FULL", noRoom]],
]);
/** What link(2) says where there are no hard links; of other calls these mean other things. */
const noLinks: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "ENOSYS"]);

/**
 * The coded error for what a call of `node:fs` about `file` threw: a file of this machine, as the state and
 * the home are, never one of the shared store. Anything it does not know is `INTERNAL`.
 */
export function fileError(thrown: unknown, file: string): PosternError {
  const known = fileCodes.get(errnoOf(thrown) ?? "");
  if (thrown instanceof PosternError || known === undefined) return asPosternError(thrown);
  const [code, advice] = known;
  return new PosternError(code, `${file}: ${advice}`, { cause: thrown });
}

/** The same for a call of link(2) that was to make `file`: `STATE_UNSAFE` where there are no hard links. */
export function linkError(thrown: unknown, file: string): PosternError {
  if (!noLinks.has(errnoOf(thrown) ?? "")) return fileError(thrown, file);
  const what = `${file}: its file system has no hard links: use a local disk, not a FAT one`;
  return new PosternError("STATE_UNSAFE", what, { cause: thrown });
}
