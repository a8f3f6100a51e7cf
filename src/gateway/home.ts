import { statSync, type Stats } from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { errnoOf } from "../base/errno.ts";
import { fromBase64Url, toBase64Url } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { makePath } from "../base/folders.ts";
import { formatDocument } from "../base/json-document.ts";
import { limits } from "../base/limits.ts";
import { signingKeyFromSeed, type SigningKey } from "../protocol/keys.ts";
import type { StoreUrl } from "../store/open.ts";
import { checkTrustDocument, readTrustDocument, type TrustDocument } from "../trust/document.ts";
import { checkConfig, parseConfig, type Config } from "./config.ts";
import { withEditLock } from "./edit-lock.ts";
import {
  othersMayDoAnything,
  othersMayWrite,
  readGuardedFile,
  readRegularFile,
  replaceFile,
} from "./files.ts";
import { schemaFiles, schemaFolder } from "./schemas.ts";

/** Where everything of one gateway lies. */
export interface HomePaths {
  readonly home: string;
  readonly config: string;
  readonly trust: string;
  readonly keys: string;
  readonly gatewayKey: string;
  readonly state: string;
  readonly schema: string;
  readonly editLock: string;
}

/** A home whose parts are in order. Its trust document is read by `TrustFile`, its state by the state's driver. */
export interface Home {
  readonly paths: HomePaths;
  readonly config: Config;
  readonly signingKey: SigningKey;
}

const keyPrefix = "postern-secret-key1 ";
const keyFileBytes = 256;

export function homePaths(home: string): HomePaths {
  const root = resolve(home);
  const keys = join(root, "keys");
  return {
    home: root,
    config: join(root, "config.json"),
    trust: join(root, "trust.json"),
    keys,
    gatewayKey: join(keys, "gateway.key"),
    state: join(root, "state.db"),
    schema: join(root, schemaFolder),
    editLock: join(root, "edit.lock"),
  };
}

/**
 * Opens the home at a path. Throws `HOME_MISSING`, `HOME_UNSAFE` when others than its owner may change it,
 * `CONFIG_INVALID` or `KEY_FILE_INVALID`.
 */
export function openHome(home: string): Home {
  const paths = homePaths(home);
  requireHome(paths);
  return { paths, config: readConfig(paths), signingKey: readSigningKey(paths) };
}

/** Throws `HOME_MISSING` or `HOME_UNSAFE`. */
export function requireHome({ home, config }: HomePaths): void {
  const folder = statOf(home);
  // `init` writes config.json last: without it there is no home yet.
  if (folder?.isDirectory() !== true || statOf(config) === undefined) {
    throw new PosternError(
      "HOME_MISSING",
      `there is no gateway in ${home}: make one with \`postern init\`, or name its folder with --home`,
    );
  }
  if ((folder.mode & othersMayWrite) !== 0) {
    throw new PosternError("HOME_UNSAFE", `others may write in ${home}: run chmod 700 ${home}`);
  }
  requireOwnFolder(home, folder);
}

/**
 * Its owner may write in a folder whatever its mode says, and cannot write what another user, root among them, makes
 * there: a gateway that is run once as root would be of no use to its own user any more. Throws `HOME_UNSAFE`.
 */
export function requireOwnFolder(folder: string, { uid }: Pick<Stats, "uid">): void {
  const self = process.geteuid?.();
  if (self === undefined || self === uid) return;
  throw new PosternError(
    "HOME_UNSAFE",
    `${folder} belongs to user ${uid}, and this is user ${self}: run it as that user, or name another with --home`,
  );
}

/**
 * Keys and state are nobody else's, and a folder store is for all to read: neither may lie within the other (SPEC.md,
 * Actors). Throws `CONFIG_INVALID`.
 */
export function requireApart({ home }: Pick<HomePaths, "home">, store: StoreUrl): void {
  if (store.kind !== "file" || !(isWithin(home, store.folder) || isWithin(store.folder, home)))
    return;
  throw new PosternError(
    "CONFIG_INVALID",
    `the home ${home} and the store ${store.folder} lie one within the other: name a folder beside it for one of them`,
  );
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Throws `CONFIG_INVALID`, or `HOME_UNSAFE` when others may write the file. */
export function readConfig(paths: HomePaths): Config {
  return parseConfig(readGuardedFile(paths.config, "CONFIG_INVALID", limits.maxConfigBytes).bytes);
}

/** Changes config.json; edits at the same time come one after the other. Throws like `readConfig`, `STATE_BUSY`. */
export function updateConfig(paths: HomePaths, edit: (config: Config) => Config): Config {
  return withEditLock(paths.editLock, () => {
    const changed = checkConfig(edit(readConfig(paths)));
    renewSchemas(paths);
    replaceFile(paths.config, formatDocument(changed));
    return changed;
  });
}

/** The document as it stands, for looking at and editing; decisions are made from `TrustFile`. Throws like it. */
export function readTrust(paths: HomePaths): TrustDocument {
  return readTrustDocument(
    readGuardedFile(paths.trust, "TRUST_INVALID", limits.maxConfigBytes).bytes,
  );
}

/** Changes trust.json by an edit that raises its version (see `trust/edit.ts`). Throws like `readTrust`, `STATE_BUSY`. */
export function updateTrust(
  paths: HomePaths,
  edit: (document: TrustDocument) => TrustDocument,
): TrustDocument {
  return withEditLock(paths.editLock, () => {
    const before = readTrust(paths);
    const changed = checkTrustDocument(edit(before));
    if (changed.version <= before.version) {
      throw new PosternError("INTERNAL", "an edit of the trust document did not raise its version");
    }
    renewSchemas(paths);
    replaceFile(paths.trust, formatDocument(changed));
    return changed;
  });
}

/** An older program wrote what it knew: what is written now may be more than that. */
function renewSchemas({ schema }: HomePaths): void {
  makePath(schema, 0o700);
  for (const { name, text } of schemaFiles()) replaceFile(join(schema, name), text);
}

/** The text of a key file. */
export function keyFileText(seed: Uint8Array): string {
  return `${keyPrefix}${toBase64Url(seed)}\n`;
}

/** The gateway's own key. Throws `KEY_FILE_INVALID`; no message holds anything of the file's content. */
export function readSigningKey({ gatewayKey }: HomePaths): SigningKey {
  const { bytes, stat } = readRegularFile(gatewayKey, "KEY_FILE_INVALID", keyFileBytes);
  if ((Number(stat.mode) & othersMayDoAnything) !== 0) {
    throw new PosternError(
      "KEY_FILE_INVALID",
      `${gatewayKey}: others than its owner may read or write it: run chmod 600 ${gatewayKey}, and make new keys if others could use this machine`,
    );
  }
  const seed = seedOf(bytes);
  if (seed?.length !== 32) {
    throw new PosternError(
      "KEY_FILE_INVALID",
      `${gatewayKey}: it does not hold one line "${keyPrefix}..." as \`postern init\` wrote it: bring it back from a backup`,
    );
  }
  return signingKeyFromSeed(seed);
}

function seedOf(bytes: Uint8Array): Uint8Array | undefined {
  // Latin-1 takes any bytes; what is not of the alphabet is refused with the rest.
  const text = Buffer.from(bytes).toString("latin1").trimEnd();
  return text.startsWith(keyPrefix) ? fromBase64Url(text.slice(keyPrefix.length)) : undefined;
}

/** What is there, through links; undefined where nothing is. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    const what = `${path} cannot be looked at (${errno ?? "unknown"}): check its permissions`;
    throw new PosternError("HOME_UNSAFE", what, { cause: thrown });
  }
}
