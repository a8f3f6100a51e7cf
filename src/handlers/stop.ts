import { PosternError } from "../base/errors.ts";

/** What a handler rejects with that was told to stop. */
export function stopReason(signal: AbortSignal): PosternError {
  return signal.reason instanceof PosternError
    ? signal.reason
    : new PosternError("CANCELLED", "the run was told to stop");
}

/** Settles as `promise` does, or rejects with the reason to stop once `signal` aborts: nobody waits for it then. */
export function unlessStopped<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(stopReason(signal));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
