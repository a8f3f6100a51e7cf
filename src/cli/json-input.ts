import { PosternError } from "../base/errors.ts";
import { isJsonValue, type JsonValue } from "../protocol/fields.ts";

/** A JSON value from the command line; `what` names it in the message. Throws `USAGE`. */
export function parseJsonInput(text: string, what: string): JsonValue {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonValue(value)) return value;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown";
    throw new PosternError("USAGE", `${what} is not JSON: ${reason}`, { cause });
  }
  throw new PosternError("USAGE", `${what} is not JSON`);
}
