import { PosternError } from "../base/errors.ts";

/** Throws `STORE_ABORTED` when the caller has given the call up; `what` names the operation. */
export function refuseAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw abortedError(signal, what);
}

export function abortedError(signal: AbortSignal, what: string): PosternError {
  return new PosternError("STORE_ABORTED", `${what}: given up on request`, {
    cause: signal.reason,
  });
}
