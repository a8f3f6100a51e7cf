import { limits } from "../../base/limits.ts";
import type { Store } from "../../store/store.ts";

/** All names below a prefix, as the store has them. */
export async function keysBelow(store: Store, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for (;;) {
    const startAfter = keys.at(-1);
    const after = startAfter === undefined ? {} : { startAfter };
    const page = await store.list({ prefix, limit: limits.listPageKeys, ...after });
    keys.push(...page.entries.map(({ key }) => key));
    if (!page.more) return keys;
  }
}
