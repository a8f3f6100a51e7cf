import { entriesBelow } from "../../store/entries-below.ts";
import type { Store } from "../../store/store.ts";

/** All names below a prefix, as the store has them. */
export async function keysBelow(store: Store, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of entriesBelow(store, { prefix })) keys.push(key);
  return keys;
}
