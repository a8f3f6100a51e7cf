import { statSync, type Stats } from "node:fs";
import { errnoOf } from "../base/errno.ts";
import { PosternError } from "../base/errors.ts";
import { othersMayWrite } from "./files.ts";

/**
 * Looks at the file of an agent's module, through links, without running it: whoever may write it is as good as
 * the gateway. Throws `CONFIG_INVALID` where none is, and `HOME_UNSAFE` when others than its owner may write it.
 */
export function requireModuleFile(path: string): void {
  const { mode } = statOf(path);
  if ((mode & othersMayWrite) === 0) return;
  throw new PosternError(
    "HOME_UNSAFE",
    `${path}: others than its owner may write it: see that it does what it should, then run chmod go-w ${path}`,
  );
}

function statOf(path: string): Stats {
  const refuse = (why: string, cause?: unknown): PosternError =>
    new PosternError("CONFIG_INVALID", `${path} ${why}: name the file of an ES module`, { cause });
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw refuse("is no file");
    return stat;
  } catch (thrown) {
    if (thrown instanceof PosternError) throw thrown;
    throw refuse(`cannot be looked at (${errnoOf(thrown) ?? "unknown"})`, thrown);
  }
}
