import { asPosternError, PosternError, type ErrorCode } from "../base/errors.ts";

const noLinks = "its file system has no hard links: use a local disk, not a FAT one";
const fileCodes: ReadonlyMap<string, readonly [ErrorCode, string]> = new Map([
  ["EACCES", ["STORE_READ_ONLY", "it cannot be written: look at the permissions of its folder"]],
  ["EROFS", ["STORE_READ_ONLY", "its file system is mounted read-only"]],
  ["ENOSPC", ["STORE_FULL", "there is no room to write: make room and try again"]],
  ["EDQUOT", ["STORE_FULL", "there is no room to write: make room and try again"]],
  ["EPERM", ["STORE_UNSAFE", noLinks]],
  ["ENOTSUP", ["STORE_UNSAFE", noLinks]],
]);

/** The coded error for what a call of `node:fs` about `file` threw; anything it does not know is `INTERNAL`. */
export function fileError(thrown: unknown, file: string): PosternError {
  const known = fileCodes.get(errnoOf(thrown) ?? "");
  if (thrown instanceof PosternError || known === undefined) return asPosternError(thrown);
  const [code, advice] = known;
  return new PosternError(code, `${file}: ${advice}`, { cause: thrown });
}

/** `ENOENT` and the like, or undefined for errors that have none. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
