import { constants } from "node:fs";
import { lstat, open, realpath, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Clock } from "../base/clock.ts";
import { makePath } from "../base/folders.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import type { Random } from "../base/random.ts";
import { refuseAborted } from "./abort.ts";
import { failedWith, fileError } from "./file/errors.ts";
import { isPlainFolder, makeFolders, pruneFolders } from "./file/folders.ts";
import { FileIdentity, identityFileName, identityText } from "./file/identity.ts";
import { choosePlace, placeByClaim, placeByLink, syncFolder, type Place } from "./file/place.ts";
import { FileTemporaries } from "./file/temporaries.ts";
import { listTree } from "./file/walk.ts";
import { checkKey } from "./key.ts";
import { emptyPage, readyQuery } from "./query.ts";
import type {
  CallOptions,
  GetOptions,
  GetResult,
  ListPage,
  ListQuery,
  PutResult,
  Store,
  StoreCapabilities,
} from "./store.ts";

export interface FileStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Makes a store where there is none; otherwise a folder without an id file is `STORE_MISSING`. */
  readonly create?: boolean;
  /** The id that the store had when it was first met; another one is `STORE_CHANGED`. */
  readonly expectedId?: string;
  /** `never` writes as on a file system without hard links; by default that is found out. */
  readonly hardLinks?: "detect" | "never";
  /** Writes nothing while it is opened: what the folder can do is not found out, and nothing is tidied up. */
  readonly readOnly?: boolean;
}

/**
 * Opens the store in a folder, given by its absolute path. Throws `STORE_MISSING`, `STORE_CHANGED`, and
 * what any operation may throw.
 */
export async function openFileStore(folder: string, options: FileStoreOptions): Promise<FileStore> {
  const { clock, random, create = false, expectedId, readOnly = false } = options;
  try {
    if (create) makeRoot(folder);
    const root = await rootOf(folder);
    // Before anything is written: an empty mount point is left as it is.
    if (!create) await FileIdentity.read(root, expectedId);
    const temporaries = new FileTemporaries(root, random);
    await temporaries.check();
    const place = await placeOf(temporaries, options);
    if (create) await makeIdentity(root, temporaries, place);
    const identity = await FileIdentity.read(root, expectedId);
    if (!readOnly) await temporaries.sweep(clock.now() - limits.staleTemporaryMs);
    return new FileStore(root, identity, temporaries, place);
  } catch (thrown) {
    throw fileError(thrown, `open the store in ${folder}`);
  }
}

/** Throws `STORE_MISSING` where no folder can be. */
function makeRoot(folder: string): void {
  try {
    makePath(folder);
  } catch (cause) {
    if (!failedWith(cause, "EEXIST", "ENOTDIR", "ENOENT")) throw cause;
    const why = failedWith(cause, "EEXIST")
      ? "something that is no folder lies there"
      : "what lies above it takes no folders";
    const what = `no store can be made in ${folder}: ${why}; name another folder`;
    throw new PosternError("STORE_MISSING", what, { cause });
  }
}

/**
 * Removes, or in a dry run only counts, the unfinished files that dead writers left in the store in a folder;
 * opening it does so as well. Throws like `openFileStore`.
 */
export async function sweepFileStore(
  folder: string,
  options: FileStoreOptions & { readonly dryRun: boolean },
): Promise<number> {
  const { clock, random, expectedId, dryRun } = options;
  try {
    const root = await rootOf(folder);
    await FileIdentity.read(root, expectedId);
    const temporaries = new FileTemporaries(root, random);
    await temporaries.check();
    return await temporaries.sweep(clock.now() - limits.staleTemporaryMs, { dryRun });
  } catch (thrown) {
    throw fileError(thrown, `tidy the store in ${folder}`);
  }
}

function placeOf(
  temporaries: FileTemporaries,
  { clock, hardLinks, readOnly }: FileStoreOptions,
): Place | Promise<Place> {
  if (hardLinks === "never") return placeByClaim(clock);
  return readOnly === true ? placeByLink : choosePlace(temporaries, clock);
}

async function rootOf(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (thrown) {
    if (!failedWith(thrown, "ENOENT", "ENOTDIR")) throw thrown;
    throw new PosternError("STORE_MISSING", `there is no folder ${folder}: is its disk mounted?`, {
      cause: thrown,
    });
  }
}

/** The first of several gateways that make a store in one folder makes its id. */
async function makeIdentity(
  root: string,
  temporaries: FileTemporaries,
  place: Place,
): Promise<void> {
  const path = join(root, identityFileName);
  const id = temporaries.newName();
  await temporaries.with(Buffer.from(identityText(id)), (temporary) => place(temporary, path));
  await syncFolder(root);
}

/** Nothing there, or something that is no regular file. */
const noObject = ["ENOENT", "ENOTDIR", "ELOOP", "EMLINK", "ENXIO", "EISDIR"];

/**
 * Objects are files below a folder, a key's segments are folders. One id file tells the folder from an
 * empty mount point (see `file/identity.ts`); both are looked at before and after every operation.
 */
export class FileStore implements Store {
  readonly capabilities: StoreCapabilities;
  readonly #root: string;
  readonly #identity: FileIdentity;
  readonly #temporaries: FileTemporaries;
  readonly #place: Place;

  constructor(root: string, identity: FileIdentity, temporaries: FileTemporaries, place: Place) {
    this.#root = root;
    this.#identity = identity;
    this.#temporaries = temporaries;
    this.#place = place;
    this.capabilities = {
      driver: "file",
      location: pathToFileURL(root).href,
      atomicPut: place === placeByLink ? "yes" : "no",
      id: identity.id,
    };
  }

  async get(key: ObjectKey, { maxBytes, signal }: GetOptions): Promise<GetResult> {
    checkKey(key);
    return await this.#guard(`get ${key}`, signal, async () => {
      const file = await this.#openObject(key);
      if (file === undefined) return { status: "absent" };
      try {
        return await readObject(file, maxBytes);
      } finally {
        await file.close();
      }
    });
  }

  async put(key: ObjectKey, bytes: Uint8Array, options?: CallOptions): Promise<PutResult> {
    checkKey(key);
    return await this.#guard(`put ${key}`, options?.signal, async () => {
      const path = join(this.#root, key);
      if (await this.#isObject(path)) {
        await this.#syncNameOf(path);
        return "exists";
      }
      return await this.#temporaries.with(bytes, (temporary) =>
        this.#placeObject(temporary, path, key),
      );
    });
  }

  async list(query: ListQuery, options?: CallOptions): Promise<ListPage> {
    const ready = readyQuery(query);
    return await this.#guard(`list ${query.prefix}`, options?.signal, async () => {
      return ready === undefined ? emptyPage : await listTree(this.#root, ready, options?.signal);
    });
  }

  async delete(key: ObjectKey, options?: CallOptions): Promise<void> {
    checkKey(key);
    await this.#guard(`delete ${key}`, options?.signal, async () => {
      const path = join(this.#root, key);
      if (!(await this.#isObject(path))) return;
      try {
        // Not synced: a delete that a power failure undoes is met again and repeated by whoever needs it.
        await unlink(path);
      } catch (thrown) {
        if (!failedWith(thrown, "ENOENT", "ENOTDIR")) throw thrown;
      }
      await pruneFolders(this.#root, dirname(path));
    });
  }

  async close(): Promise<void> {}

  /** Runs an operation on the store that was opened and on no other, and codes its errors. */
  async #guard<Result>(
    what: string,
    signal: AbortSignal | undefined,
    run: () => Promise<Result>,
  ): Promise<Result> {
    try {
      refuseAborted(signal, what);
      await this.#identity.check();
      try {
        return await run();
      } finally {
        // Whatever the answer or failure: with the disk gone meanwhile, it means nothing.
        await this.#identity.check();
      }
    } catch (thrown) {
      throw fileError(thrown, `${what} in ${this.#root}`);
    }
  }

  async #isObject(path: string): Promise<boolean> {
    if (!(await isPlainFolder(this.#root, dirname(path)))) return false;
    try {
      return (await lstat(path)).isFile();
    } catch (thrown) {
      if (failedWith(thrown, "ENOENT", "ENOTDIR")) return false;
      throw thrown;
    }
  }

  async #openObject(key: string): Promise<FileHandle | undefined> {
    const path = join(this.#root, key);
    if (!(await isPlainFolder(this.#root, dirname(path)))) return undefined;
    // Without O_NONBLOCK, opening a pipe that somebody put there would wait for ever.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    try {
      return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (thrown) {
      if (failedWith(thrown, ...noObject)) return undefined;
      throw thrown;
    }
  }

  async #placeObject(temporary: string, path: string, key: string): Promise<PutResult> {
    const folders = key.split("/").slice(0, -1);
    for (let tries = 0; tries < limits.fileStoreTries; tries++) {
      // Another process may have removed as empty what was made a moment ago, and the disk may be gone.
      if (tries > 0) await this.#identity.check();
      try {
        const ready = await isPlainFolder(this.#root, dirname(path));
        if (!ready) await makeFolders(this.#root, folders);
        const result = await this.#place(temporary, path);
        if (result === "exists") await this.#refuseOther(path);
        await this.#syncNameOf(path);
        return result;
      } catch (thrown) {
        if (!failedWith(thrown, "ENOENT")) throw thrown;
      }
    }
    throw new PosternError(
      "STORE_BUSY",
      `put ${key}: its folder was removed again and again: try again`,
    );
  }

  /** Where the name is taken, it is by an object, or by something that is in the way for ever. */
  async #refuseOther(path: string): Promise<void> {
    const taken = await lstat(path).catch((thrown: unknown) => {
      // Deleted meanwhile: it did exist.
      if (!failedWith(thrown, "ENOENT", "ENOTDIR")) throw thrown;
    });
    if (taken === undefined || taken.isFile()) return;
    throw new PosternError(
      "STORE_FAILED",
      `${path} is not a file but lies where an object belongs: move it away`,
    );
  }

  /** After this, `created` and `exists` stay true through a power failure. */
  async #syncNameOf(path: string): Promise<void> {
    try {
      await syncFolder(dirname(path));
    } catch (thrown) {
      // The object was deleted meanwhile, and its folder with it.
      if (!failedWith(thrown, "ENOENT")) throw thrown;
    }
  }
}

async function readObject(file: FileHandle, maxBytes: number): Promise<GetResult> {
  const stats = await file.stat();
  if (!stats.isFile()) return { status: "absent" };
  if (stats.size > maxBytes) return { status: "too-large", size: stats.size };
  const bytes = new Uint8Array(stats.size);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return { status: "found", bytes: bytes.subarray(0, length) };
}
