import { limits } from "../base/limits.ts";
import type { ListEntry, Store } from "./store.ts";

export interface Below {
  readonly prefix: string;
  /** Only keys after this one. */
  readonly startAfter?: string | undefined;
  /** At most so many requests; without one, as many as it takes. */
  readonly maxPages?: number;
}

/** Everything listed below a prefix, in order, page after page as it is asked for. Rejects as the store does. */
export async function* entriesBelow(store: Store, below: Below): AsyncGenerator<ListEntry, void> {
  const { prefix, maxPages = Infinity } = below;
  let { startAfter } = below;
  for (let pages = 0; pages < maxPages; pages += 1) {
    const after = startAfter === undefined ? {} : { startAfter };
    const page = await store.list({ prefix, limit: limits.listPageKeys, ...after });
    yield* page.entries;
    startAfter = page.entries.at(-1)?.key;
    if (!page.more || startAfter === undefined) return;
  }
}
