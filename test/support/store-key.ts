import type { ObjectKey } from "../../src/base/names.ts";
import { isStoreKey } from "../../src/store/key.ts";

/** A key as a test writes it. */
export function keyOf(text: string): ObjectKey {
  if (!isStoreKey(text)) throw new Error(`${JSON.stringify(text)} is no key`);
  return text;
}

/** Lets any text pass for a key, as a mistake would. */
export function passesForKey(text: string): text is ObjectKey {
  return typeof text === "string";
}
