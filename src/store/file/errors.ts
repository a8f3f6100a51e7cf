import { errnoOf } from "../../base/errno.ts";
import { PosternError, type ErrorCode } from "../../base/errors.ts";

const codesByErrno: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOSPC: ["STORE_FULL", "the disk is full: free some space"],
  EDQUOT: ["STORE_FULL", "the quota is used up: free some space"],
  EFBIG: ["STORE_FULL", "the file size limit is reached"],
  EROFS: ["STORE_READ_ONLY", "the file system is mounted read-only"],
  EACCES: ["STORE_DENIED", "this user may not: check owner and mode"],
  EPERM: ["STORE_DENIED", "this user may not: check owner and mode"],
  EMFILE: ["STORE_BUSY", "too many open files"],
  ENFILE: ["STORE_BUSY", "too many open files"],
  ENOMEM: ["STORE_BUSY", "the system is out of memory"],
  EAGAIN: ["STORE_BUSY", "try again"],
  EBUSY: ["STORE_BUSY", "something holds it: try again"],
  EIO: ["STORE_UNREACHABLE", "the disk does not answer"],
  ENODEV: ["STORE_UNREACHABLE", "the disk is gone"],
  ENXIO: ["STORE_UNREACHABLE", "the disk is gone"],
  ESTALE: ["STORE_UNREACHABLE", "the network file system lost it: mount it anew"],
  ETIMEDOUT: ["STORE_UNREACHABLE", "the network file system does not answer"],
  EHOSTDOWN: ["STORE_UNREACHABLE", "the network file system does not answer"],
};

export function failedWith(thrown: unknown, ...errnos: readonly string[]): boolean {
  const errno = errnoOf(thrown);
  return errno !== undefined && errnos.includes(errno);
}

/** The coded error for whatever a file operation threw; `what` names operation and place. */
export function fileError(thrown: unknown, what: string): PosternError {
  if (thrown instanceof PosternError) return thrown;
  const errno = errnoOf(thrown);
  const [code, remedy] = codesByErrno[errno ?? ""] ?? ["STORE_FAILED", "see the cause"];
  return new PosternError(code, `${what}: ${errno ?? String(thrown)}: ${remedy}`, {
    cause: thrown,
  });
}
