import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PosternError } from "../../base/errors.ts";
import { isNonce } from "../../base/names.ts";
import { failedWith } from "./errors.ts";

export const identityFileName = ".postern-store";

const layout = "postern-store 1";
const idFileBytes = BigInt(layout.length + 1 + 26 + 1);

/** The content of the id file: what the layout is, and 26 random characters. */
export function identityText(id: string): string {
  return `${layout} ${id}\n`;
}

/**
 * Knows a folder store again. Where a disk was pulled, an empty mount point lies at the same path: without
 * the id file it must never pass for an empty store, and neither must another disk, or a copy.
 */
export class FileIdentity {
  readonly id: string;
  readonly #root: string;
  readonly #device: bigint;
  #seen: string;

  private constructor(root: string, device: bigint, id: string, seen: string) {
    this.#root = root;
    this.#device = device;
    this.id = id;
    this.#seen = seen;
  }

  /** Reads the id file. Throws `STORE_MISSING`, `STORE_CHANGED` (not the expected id, or none at all). */
  static async read(root: string, expectedId: string | undefined): Promise<FileIdentity> {
    const { device, seen } = await lookAt(root);
    const id = await readId(root);
    if (expectedId !== undefined && id !== expectedId) throw otherStore(root, id, expectedId);
    return new FileIdentity(root, device, id, seen);
  }

  /** Throws `STORE_MISSING` or `STORE_CHANGED` unless the same store still lies there. */
  async check(): Promise<void> {
    const { device, seen } = await lookAt(this.#root);
    if (device !== this.#device) {
      throw new PosternError(
        "STORE_CHANGED",
        `${this.#root} lies on another device than when it was opened: start again if that is meant`,
      );
    }
    // The content was read of a file that looked exactly like this one.
    if (seen === this.#seen) return;
    const id = await readId(this.#root);
    if (id !== this.id) throw otherStore(this.#root, id, this.id);
    this.#seen = seen;
  }
}

async function lookAt(root: string): Promise<{ device: bigint; seen: string }> {
  const path = join(root, identityFileName);
  const stats = await lstat(path, { bigint: true }).catch((thrown: unknown) => {
    if (!failedWith(thrown, "ENOENT", "ENOTDIR")) throw thrown;
    throw new PosternError(
      "STORE_MISSING",
      `${root} holds no store (no file ${identityFileName}): is its disk mounted? A new store is made by init`,
      { cause: thrown },
    );
  });
  if (!stats.isFile() || stats.size !== idFileBytes) throw notAnIdFile(path);
  const { dev, ino, mtimeNs, ctimeNs } = stats;
  return { device: dev, seen: [ino, mtimeNs, ctimeNs].join(" ") };
}

async function readId(root: string): Promise<string> {
  const path = join(root, identityFileName);
  const content = await readFile(path, "latin1");
  const id = content.slice(layout.length + 1, -1);
  if (!isNonce(id) || content !== identityText(id)) throw notAnIdFile(path);
  return id;
}

function notAnIdFile(path: string): PosternError {
  return new PosternError(
    "STORE_CHANGED",
    `${path} is not the id file of a store that this version knows: restore it, or use another folder`,
  );
}

function otherStore(root: string, found: string, expected: string): PosternError {
  return new PosternError(
    "STORE_CHANGED",
    `${root} holds the store ${found}, not ${expected}: mount the right disk, or correct the configuration`,
  );
}
