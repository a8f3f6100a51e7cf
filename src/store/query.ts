import { limits } from "../base/limits.ts";
import { checkPrefix, compareNames } from "./key.ts";
import type { ListEntry, ListPage, ListQuery } from "./store.ts";

/** A list query with nothing left to doubt. `startAfter` is empty, or not before `prefix` and begins with it. */
export interface ReadyQuery {
  readonly prefix: string;
  readonly startAfter: string;
  readonly limit: number;
}

export const emptyPage: ListPage = { entries: [], more: false };

/**
 * The query in its one form, or undefined when no key can answer it. Stores differ in what they make of a
 * `startAfter` outside of the prefix, so none is ever asked. Throws `STORE_KEY_INVALID`.
 */
export function readyQuery(query: ListQuery): ReadyQuery | undefined {
  const { prefix } = query;
  checkPrefix(prefix);
  const limit = Math.min(Math.max(Math.trunc(query.limit), 1), limits.listPageKeys);
  const startAfter = (query.startAfter ?? "").toWellFormed();
  if (startAfter.startsWith(prefix)) return { prefix, startAfter, limit };
  return compareNames(startAfter, prefix) < 0 ? { prefix, startAfter: "", limit } : undefined;
}

/** Whether the entries answer the query: below the prefix, after `startAfter`, ascending, none twice. */
export function answersQuery(query: ReadyQuery, entries: readonly ListEntry[]): boolean {
  let previous = query.startAfter;
  for (const [index, { key }] of entries.entries()) {
    if (!key.startsWith(query.prefix)) return false;
    if ((index > 0 || previous !== "") && compareNames(previous, key) >= 0) return false;
    previous = key;
  }
  return true;
}
