import { equalBytes } from "../base/bytes.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import { PosternError } from "../base/errors.ts";
import { readObject } from "./read-object.ts";
import type { Store } from "../store/store.ts";

/**
 * Puts an object whose bytes are settled. `ours`: it stands with these bytes, by this call or an earlier
 * one whose answer was lost. `other`: other bytes stand under its name. Rejects as the store does.
 */
export async function putExactly(
  store: Store,
  key: ObjectKey,
  bytes: Uint8Array,
): Promise<"ours" | "other"> {
  for (let tries = 0; tries < limits.storeAttempts; tries += 1) {
    if ((await store.put(key, bytes)) === "created") return "ours";
    const standing = await readObject(store, key);
    if (standing.status === "found") return equalBytes(standing.bytes, bytes) ? "ours" : "other";
    if (standing.status === "unreadable") return "other";
    // It stood a moment ago and is gone: its reader may have taken it. Only a put that succeeds is an answer.
  }
  throw new PosternError("STORE_BUSY", `${key} comes and goes: the store contradicts itself`);
}
