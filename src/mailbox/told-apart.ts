import { asPosternError, PosternError } from "../base/errors.ts";
import { inboxPrefix } from "../protocol/object-key.ts";
import { wholeStoreCodes } from "../store/store.ts";
import type { Mailbox } from "./mailbox.ts";

/** Whether a failure tells of one object or one permission, and not of the store as a whole. */
export function isOfOneObject({ code, class: kind }: PosternError): boolean {
  return kind === "store" && !wholeStoreCodes.has(code);
}

/**
 * A failure as `isOfOneObject` can judge it: what a store says that is away, or not there, it may also say of one
 * object that it cannot give out. Where it answers otherwise, it is `STORE_FAILED`.
 */
export async function toldApart(
  box: Pick<Mailbox, "self" | "store">,
  thrown: unknown,
): Promise<PosternError> {
  const error = asPosternError(thrown);
  if (!wholeStoreCodes.has(error.code)) return error;
  try {
    await box.store.list({ prefix: inboxPrefix(box.self), limit: 1 });
  } catch {
    return error;
  }
  const what = `${error.message}; it is about this alone, for the store answers otherwise`;
  return new PosternError("STORE_FAILED", what, { cause: error });
}
