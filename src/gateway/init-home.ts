import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "../base/errno.ts";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { makePath } from "../base/folders.ts";
import { formatDocument } from "../base/json-document.ts";
import type { GatewayName, Realm } from "../base/names.ts";
import type { Random } from "../base/random.ts";
import { fileError } from "../state/file-errors.ts";
import { createSqliteState } from "../state/sqlite.ts";
import { newTrustDocument } from "../trust/edit.ts";
import { checkConfig } from "./config.ts";
import { syncFolder, writeNewFile } from "./files.ts";
import {
  homePaths,
  keyFileText,
  openHome,
  requireOwnFolder,
  type Home,
  type HomePaths,
} from "./home.ts";
import { configSchemaPath, schemaFiles } from "./schemas.ts";

export interface NewHome {
  readonly home: string;
  readonly gateway: GatewayName;
  readonly realm: Realm;
  /** The store's URL. */
  readonly store: string;
  /** The id that the store carries, where it does (`StoreCapabilities.id`). */
  readonly storeId?: string;
  readonly random: Random;
  readonly clock: Clock;
  /** What names this machine, as the state wants to know it. */
  readonly machine: string;
}

/** What an unfinished `init` of another process is called; the rest of it may lie there for ever. */
const temporaryPrefix = ".init-";
const notContent: ReadonlySet<string> = new Set(["lost+found"]);

/**
 * Makes a home with new keys, an empty trust document and a new state, in a folder that is not there or
 * empty. config.json comes last: before, the folder is no home, and what fails leaves nothing behind.
 *
 * Rejects with `HOME_EXISTS`, `CONFIG_INVALID`, or as files and the state do.
 */
export async function initHome(made: NewHome): Promise<Home> {
  const paths = homePaths(made.home);
  try {
    await fill(paths, made);
  } catch (thrown) {
    throw fileError(thrown, paths.home);
  }
  return openHome(paths.home);
}

async function fill(paths: HomePaths, made: NewHome): Promise<void> {
  using undo = new DisposableStack();
  takeFolder(paths.home, undo);
  using scratch = new DisposableStack();
  const temporary = scratch.adopt(mkdtempSync(join(paths.home, temporaryPrefix)), remove);
  const inside = homePaths(temporary);
  build(inside, made);
  // A folder never takes the place of one that is not empty: of two inits at once, one gets no further.
  claim(inside.keys, paths.keys);
  undo.adopt(paths.keys, remove);
  for (const name of ["schema", "trust"] as const) {
    renameSync(inside[name], paths[name]);
    undo.adopt(paths[name], remove);
  }
  for (const ending of ["", "-wal", "-shm"]) undo.adopt(`${paths.state}${ending}`, remove);
  const { clock, machine } = made;
  const state = await createSqliteState({ file: paths.state, clock, machine });
  await state.close();
  for (const folder of [paths.keys, paths.schema, paths.home]) syncFolder(folder);
  renameSync(inside.config, paths.config);
  // It is a home from here on, and stays.
  undo.move();
  syncFolder(paths.home);
}

/** Throws `HOME_EXISTS` for a folder that is not empty. */
function takeFolder(home: string, undo: DisposableStack): void {
  const firstMade = makeFolder(home);
  if (firstMade !== undefined) undo.defer(() => removeEmptyFolders(home, firstMade));
  const names = readdirSync(home).filter(
    (name) => !name.startsWith(temporaryPrefix) && !notContent.has(name),
  );
  if (names.length > 0) throw homeExists(home, names);
  requireOwnFolder(home, statSync(home));
  try {
    chmodSync(home, 0o700);
  } catch (cause) {
    const what = `${home} cannot be kept from others: name another with --home`;
    throw new PosternError("HOME_UNSAFE", what, { cause });
  }
}

/** The first folder of the path that was not there before, if any. */
function makeFolder(home: string): string | undefined {
  try {
    return makePath(home, 0o700);
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === "ENOENT" || errno === "ENAMETOOLONG" || errno === "ELOOP") {
      const what = `no folder can be made at ${home} (${errno}): name another with --home`;
      throw new PosternError("HOME_UNSAFE", what, { cause });
    }
    if (errno !== "EEXIST" && errno !== "ENOTDIR") throw cause;
    throw new PosternError("HOME_EXISTS", `${home} is no folder: name another with --home`, {
      cause,
    });
  }
}

function removeEmptyFolders(home: string, firstMade: string): void {
  for (let folder = home; folder.startsWith(firstMade); folder = dirname(folder)) {
    try {
      rmdirSync(folder);
    } catch {
      // Somebody else has put something there meanwhile: it is theirs.
      return;
    }
  }
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

function build(
  inside: HomePaths,
  { gateway, realm, store, storeId, random, clock }: NewHome,
): void {
  const config = checkConfig({
    $schema: configSchemaPath,
    v: 1,
    gateway,
    realm,
    store,
    ...(storeId === undefined ? {} : { storeId }),
    agents: {},
  });
  mkdirSync(inside.keys, { mode: 0o700 });
  mkdirSync(inside.schema, { mode: 0o700 });
  writeNewFile(inside.gatewayKey, keyFileText(random.bytes(32)));
  for (const { name, text } of schemaFiles()) writeNewFile(join(inside.schema, name), text);
  writeNewFile(inside.trust, formatDocument(newTrustDocument({ gateway, realm }, clock.now())));
  writeNewFile(inside.config, formatDocument(config));
}

function claim(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === "ENOTEMPTY" || errno === "EEXIST") throw homeExists(dirname(to), [basename(to)]);
    throw thrown;
  }
}

function homeExists(home: string, names: readonly string[]): PosternError {
  const [first = ""] = names;
  const what = names.includes("config.json")
    ? "holds a gateway already"
    : `is not empty (${JSON.stringify(first)})`;
  return new PosternError(
    "HOME_EXISTS",
    `${home} ${what}: it stays as it is; name another folder with --home`,
  );
}
