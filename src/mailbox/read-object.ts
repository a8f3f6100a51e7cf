import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import type { Store } from "../store/store.ts";

export type ReadObject =
  | { readonly status: "found"; readonly bytes: Uint8Array }
  | { readonly status: "absent" }
  /** Something lies there that is no object of ours: too large, or not as it was put. */
  | { readonly status: "unreadable"; readonly size: number; readonly error: PosternError };

/**
 * Reads one object of at most an envelope's size. What is wrong with a single object is an answer, so that
 * it never stands in the way of others; rejects as the store does when the store itself fails.
 */
export async function readObject(store: Store, key: ObjectKey): Promise<ReadObject> {
  try {
    const got = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
    if (got.status !== "too-large") return got;
    return { status: "unreadable", size: got.size, error: tooLarge(got.size) };
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.code !== "STORE_ENCODING") throw error;
    return { status: "unreadable", size: 0, error };
  }
}

export function tooLarge(size: number): PosternError {
  const what = `${size} bytes are more than the ${limits.maxEnvelopeBytes} of an envelope`;
  return new PosternError("OBJECT_TOO_LARGE", `${what}: it is left in place, unread`);
}
