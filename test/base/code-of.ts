import { PosternError, type ErrorCode } from "../../src/base/errors.ts";

/** The code with which `action` fails, or `"accepted"`. Anything that is no coded error fails the test. */
export function codeOf(action: () => unknown): ErrorCode | "accepted" {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof PosternError) return thrown.code;
    throw thrown;
  }
  return "accepted";
}
