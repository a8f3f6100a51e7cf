import { join } from "node:path";
import { PosternError } from "../base/errors.ts";
import { holdExclusive } from "../state/exclusive-lock.ts";

const lockFile = "poll.lock";

/**
 * Makes this process the one pass of its home until the lock is disposed of, or the process ends. Throws
 * `PASS_RUNNING` when another pass runs, or as files do.
 */
export function holdPassLock(home: string): Disposable {
  const lock = holdExclusive(join(home, lockFile), 0);
  if (lock !== undefined) return lock;
  throw new PosternError(
    "PASS_RUNNING",
    `another pass of ${home} is running: try again when it is over, or let --max-time end it sooner`,
  );
}
