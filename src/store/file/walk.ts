import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { limits } from "../../base/limits.ts";
import { refuseAborted } from "../abort.ts";
import { failedWith } from "./errors.ts";
import { isPlainFolder } from "./folders.ts";
import { compareNames, sortNames } from "../key.ts";
import { emptyPage, type ReadyQuery } from "../query.ts";
import type { ListEntry, ListPage } from "../store.ts";

/**
 * Lists a folder tree as a bucket is listed: regular files only, by the bytes of the whole key. Reads only
 * folders that can hold an answer. Symbolic links are not followed, names that begin with a dot (the
 * store's own, and what systems leave lying about) are passed over, and so are folders too deep for any key. A
 * folder further down that this user may not read is listed by its own name, with a `/` at its end: whoever made
 * it hides nothing but what lies in it.
 */
export async function listTree(
  root: string,
  query: ReadyQuery,
  signal?: AbortSignal,
): Promise<ListPage> {
  // The part of the prefix that names whole folders: empty, or ending in "/".
  const folder = query.prefix.slice(0, query.prefix.lastIndexOf("/") + 1);
  if (!(await isPlainFolder(root, resolve(root, folder)))) return emptyPage;
  let { startAfter } = query;
  for (;;) {
    const names: string[] = [];
    for await (const name of walk(root, folder, query.prefix, startAfter, signal)) {
      names.push(name);
      if (names.length > query.limit) break;
    }
    const page = names.slice(0, query.limit);
    const entries = (await Promise.all(page.map((name) => entryOf(root, name)))).filter(
      (entry) => entry !== undefined,
    );
    const more = names.length > query.limit;
    const last = page.at(-1);
    if (!more || entries.length > 0 || last === undefined) return { entries, more };
    // All of the page was removed while it was read; only an entry tells the caller where to go on.
    startAfter = last;
  }
}

/** The names of all files below `folder`, ascending. */
async function* walk(
  root: string,
  folder: string,
  prefix: string,
  startAfter: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  refuseAborted(signal, `list ${prefix}`);
  const found = await readFolder(join(root, folder), { mustBeRead: prefix.startsWith(folder) });
  if (found === "denied") {
    if (compareNames(folder, startAfter) > 0) yield folder;
    return;
  }
  const names = found
    .filter((entry) => !entry.name.startsWith(".") && (entry.isFile() || entry.isDirectory()))
    // A folder sorts as all that lies in it: "a-b" before "a/..." before "a0".
    .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? "/" : ""}`)
    .filter((name) => name.startsWith(prefix) && comesAfter(name, startAfter));
  for (const name of sortNames(names)) {
    if (!name.endsWith("/")) yield name;
    else if (Buffer.byteLength(name) < limits.maxObjectKeyBytes) {
      yield* walk(root, name, prefix, startAfter, signal);
    }
  }
}

/** Whether the file, or anything in the folder, comes after `startAfter`. */
function comesAfter(name: string, startAfter: string): boolean {
  return compareNames(name, startAfter) > 0 || (name.endsWith("/") && startAfter.startsWith(name));
}

async function readFolder(
  path: string,
  { mustBeRead }: { readonly mustBeRead: boolean },
): Promise<Dirent[] | "denied"> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (thrown) {
    if (!mustBeRead && failedWith(thrown, ...denied)) return "denied";
    // Removed since it was seen, or a name that is not UTF-8 and therefore no key.
    if (failedWith(thrown, "ENOENT", "ENOTDIR")) return [];
    throw thrown;
  }
}

async function entryOf(root: string, key: string): Promise<ListEntry | undefined> {
  try {
    const stats = await lstat(join(root, key));
    if (!stats.isFile()) return key.endsWith("/") ? unseen(key) : undefined;
    return { key, size: stats.size, modifiedMs: Math.trunc(stats.mtimeMs) };
  } catch (thrown) {
    if (failedWith(thrown, ...denied)) return unseen(key);
    if (failedWith(thrown, "ENOENT", "ENOTDIR")) return undefined;
    throw thrown;
  }
}

const denied = ["EACCES", "EPERM"];

/** What this user may see the name of, and nothing more. */
function unseen(key: string): ListEntry {
  return { key, size: 0, modifiedMs: 0 };
}
