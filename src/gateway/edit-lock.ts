import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { holdExclusive } from "../state/exclusive-lock.ts";

/**
 * Runs `edit` while no other process that asks for the same lock runs its own. Everything is synchronous, so
 * that edits of one process never meet either.
 *
 * Throws `STATE_BUSY` when another edit takes longer than `limits.editLockWaitMs`, or what `edit` throws.
 */
export function withEditLock<T>(
  file: string,
  edit: () => T,
  waitMs: number = limits.editLockWaitMs,
): T {
  using lock = holdExclusive(file, waitMs);
  if (lock !== undefined) return edit();
  throw new PosternError(
    "STATE_BUSY",
    "another command is editing this home: try again in a moment",
  );
}
