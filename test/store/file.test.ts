import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { fileError } from "../../src/store/file/errors.ts";
import {
  openFileStore,
  sweepFileStore,
  type FileStore,
  type FileStoreOptions,
} from "../../src/store/file.ts";
import { probeStore } from "../../src/store/probe.ts";
import { retryStore } from "../../src/store/retry.ts";
import { storeContract } from "../contract/store-contract.ts";
import { rejection, rejectionCode } from "../support/rejection.ts";
import { keyOf } from "../support/store-key.ts";

const deps = { clock: systemClock, random: systemRandom };
const maxBytes = 1000;

async function openFresh(options?: Partial<FileStoreOptions>) {
  const folder = await mkdtemp(join(tmpdir(), "postern-file-"));
  const store = await openFileStore(folder, { ...deps, create: true, ...options });
  return { store, folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

storeContract("a folder", { open: () => openFresh(), runs: 40 });

storeContract("a folder under retries", {
  open: async () => {
    const { store, remove } = await openFresh();
    return { store: retryStore(store, deps), remove };
  },
  runs: 10,
});

storeContract("a folder without hard links", {
  open: () => openFresh({ hardLinks: "never" }),
  runs: 10,
  atomic: false,
});

describe("a folder store", () => {
  let folder: string;
  let store: FileStore;
  let remove: () => Promise<void>;

  beforeEach(async () => {
    ({ folder, store, remove } = await openFresh());
  });
  afterEach(() => remove());

  const get = (key: string) => store.get(keyOf(key), { maxBytes });
  const put = (key: string, text = key) => store.put(keyOf(key), utf8(text));
  const listed = async (prefix = "") =>
    (await store.list({ prefix, limit: 1000 })).entries.map(({ key }) => key);
  const codesOfAll = async () => [
    await rejectionCode(get("a/b")),
    await rejectionCode(put("a/c")),
    await rejectionCode(store.list({ prefix: "", limit: 1 })),
    await rejectionCode(store.delete(keyOf("a/b"))),
  ];

  it("writes atomically where there are hard links, and says so", () => {
    expect(store.capabilities).toMatchObject({ driver: "file", atomicPut: "yes" });
  });

  it("lays objects out as plain files, a folder for each segment", async () => {
    await put("eu-lab/inbox/hq/x", "hello");
    expect(await readFile(join(folder, "eu-lab/inbox/hq/x"), "utf8")).toBe("hello");
  });

  it("removes folders that a delete leaves empty, and no others", async () => {
    await put("a/b/c/d");
    await put("a/e");
    await store.delete(keyOf("a/b/c/d"));
    expect(await readdir(join(folder, "a"))).toEqual(["e"]);
    await store.delete(keyOf("a/e"));
    expect(await readdir(folder)).toEqual([".postern-store", ".postern-tmp"]);
  });

  it("puts while others remove the folder as empty, again and again", async () => {
    const chain = async (name: string) => {
      const key = keyOf(`deep/down/here/${name}`);
      for (let round = 0; round < 50; round++) {
        expect(await store.put(key, utf8("x"))).toBe("created");
        await store.delete(key);
      }
    };
    await Promise.all(["a", "b", "c", "d"].map(chain));
    expect(await listed()).toEqual([]);
  });

  it("leaves no unfinished files behind", async () => {
    await put("a/b");
    await put("a/b");
    expect(await readdir(join(folder, ".postern-tmp"))).toEqual([]);
  });

  it("lists one page of 100,000 files in one folder, wherever it starts", async () => {
    // In memory where the system has such a place: it is the listing that counts.
    const place = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    const root = await mkdtemp(join(place, "postern-many-"));
    try {
      const many = await openFileStore(root, { ...deps, create: true });
      const box = join(root, "in/box");
      const names = Array.from({ length: 100_000 }, (_, index) => `f${100_000 + index}`);
      await mkdir(box, { recursive: true });
      execFileSync("xargs", ["touch"], { input: names.join("\n"), cwd: box });
      const startAfter = "in/box/f149999";
      const page = await many.list({ prefix: "in/b", startAfter, limit: 1000 });
      expect(page.entries.map(({ key }) => key)).toEqual(
        names.slice(50_000, 51_000).map((name) => `in/box/${name}`),
      );
      expect(page.more).toBe(true);
    } finally {
      await rm(root, { recursive: true });
    }
  });

  describe("met with what is no file", () => {
    let outside: string;

    beforeEach(async () => {
      outside = await mkdtemp(join(tmpdir(), "postern-outside-"));
      await writeFile(join(outside, "secret"), "secret");
      await mkdir(join(folder, "a"));
    });
    afterEach(() => rm(outside, { recursive: true, force: true }));

    it("follows no symbolic link in place of an object", async () => {
      await symlink(join(outside, "secret"), join(folder, "a/link"));
      await symlink(join(outside, "new"), join(folder, "a/dangling"));
      expect(await get("a/link")).toEqual({ status: "absent" });
      expect(await listed()).toEqual([]);
      expect(await rejectionCode(put("a/link"))).toBe("STORE_FAILED");
      expect(await rejectionCode(put("a/dangling"))).toBe("STORE_FAILED");
      await store.delete(keyOf("a/link"));
      expect((await lstat(join(folder, "a/link"))).isSymbolicLink()).toBe(true);
      expect(await readdir(outside)).toEqual(["secret"]);
    });

    it("follows no symbolic link in place of a folder", async () => {
      await symlink(outside, join(folder, "a/folder"));
      expect(await get("a/folder/secret")).toEqual({ status: "absent" });
      expect(await listed()).toEqual([]);
      expect(await listed("a/folder/")).toEqual([]);
      expect(await rejectionCode(put("a/folder/secret"))).toBe("STORE_FAILED");
      expect(await rejectionCode(put("a/folder/deeper/new"))).toBe("STORE_FAILED");
      await store.delete(keyOf("a/folder/secret"));
      expect(await readdir(outside)).toEqual(["secret"]);
    });

    it("does not write its unfinished files through a symbolic link", async () => {
      await rmdir(join(folder, ".postern-tmp"));
      await symlink(outside, join(folder, ".postern-tmp"));
      expect(await rejectionCode(openFileStore(folder, deps))).toBe("STORE_FAILED");
    });

    it("does not wait for a pipe, nor read it", async () => {
      execFileSync("mkfifo", [join(folder, "a/pipe")]);
      expect(await get("a/pipe")).toEqual({ status: "absent" });
      expect(await listed()).toEqual([]);
      expect(await rejectionCode(put("a/pipe"))).toBe("STORE_FAILED");
    });

    it("takes neither a folder for an object nor an object for a folder", async () => {
      await put("a/b/c");
      await put("a/d");
      expect(await get("a/b")).toEqual({ status: "absent" });
      expect(await get("a/d/e")).toEqual({ status: "absent" });
      expect(await rejectionCode(put("a/b"))).toBe("STORE_FAILED");
      expect(await rejectionCode(put("a/d/e"))).toBe("STORE_FAILED");
      await store.delete(keyOf("a/b"));
      await store.delete(keyOf("a/d/e"));
      expect(await listed()).toEqual(["a/b/c", "a/d"]);
    });

    it("lists hostile names raw, passes over hidden ones and those that are not UTF-8", async () => {
      const names = ["line\nbreak", "\u001b[31mred", "back\\slash", " ", "%2e%2e"];
      for (const name of names) await writeFile(join(folder, "a", name), "x");
      await writeFile(join(folder, "a/.DS_Store"), "x");
      await mkdir(join(folder, "a/.hidden"));
      await writeFile(join(folder, "a/.hidden/x"), "x");
      await writeFile(Buffer.from(`${folder}/a/not-utf8-\xff`, "latin1"), "x");
      await mkdir(Buffer.from(`${folder}/a/folder-\xff`, "latin1"));
      expect(await listed()).toEqual(names.map((name) => `a/${name}`).toSorted());
    });

    it("lists what lies as deep as keys can go, and not deeper", async () => {
      const deep = "d/".repeat(limits.maxObjectKeyBytes / 2 - 1);
      await mkdir(join(folder, `${deep}d`), { recursive: true });
      await writeFile(join(folder, `${deep}k`), "x");
      await writeFile(join(folder, `${deep}d/k`), "x");
      expect(await listed()).toEqual([`${deep}k`]);
    });
  });

  describe("knows itself again", () => {
    it("is made once: who comes second gets the same id", async () => {
      const again = await openFileStore(folder, { ...deps, create: true });
      expect(again.capabilities.id).toBe(store.capabilities.id);
      expect(again.capabilities.id).toMatch(/^[a-z2-7]{26}$/);
    });

    it("is made once by several at the same time", async () => {
      const path = join(folder, "new/store");
      const stores = await Promise.all(
        Array.from({ length: 8 }, () => openFileStore(path, { ...deps, create: true })),
      );
      expect(new Set(stores.map(({ capabilities }) => capabilities.id)).size).toBe(1);
    });

    it("is not opened where there is no folder, or no store in it; the folder stays as it is", async () => {
      const empty = join(folder, "empty");
      expect(await rejectionCode(openFileStore(empty, deps))).toBe("STORE_MISSING");
      await mkdir(empty);
      expect(await rejectionCode(openFileStore(empty, deps))).toBe("STORE_MISSING");
      expect(await readdir(empty)).toEqual([]);
    });

    it("is not made where something else lies, or above it: STORE_MISSING, and that stays as it is", async () => {
      const file = join(folder, "file");
      await writeFile(file, "mine");
      for (const place of [file, join(file, "below")]) {
        const making = openFileStore(place, { ...deps, create: true });
        expect(await rejectionCode(making)).toBe("STORE_MISSING");
        expect(await rejectionCode(openFileStore(place, deps))).toBe("STORE_MISSING");
      }
      expect(await readFile(file, "utf8")).toBe("mine");
    });

    it("is not opened under another id than the expected one", async () => {
      const { id } = store.capabilities;
      const opened = await openFileStore(folder, {
        ...deps,
        ...(id === undefined ? {} : { expectedId: id }),
      });
      expect(opened.capabilities.id).toBe(id);
      const expectedId = "a".repeat(26);
      expect(await rejectionCode(openFileStore(folder, { ...deps, expectedId }))).toBe(
        "STORE_CHANGED",
      );
      const create = true;
      expect(await rejectionCode(openFileStore(folder, { ...deps, expectedId, create }))).toBe(
        "STORE_CHANGED",
      );
    });

    it("an empty mount point in its place is STORE_MISSING, never an empty store", async () => {
      await put("a/b");
      await rename(folder, `${folder}-away`);
      expect(await codesOfAll()).toEqual(Array(4).fill("STORE_MISSING"));
      await mkdir(folder);
      expect(await codesOfAll()).toEqual(Array(4).fill("STORE_MISSING"));
      expect(await readdir(folder)).toEqual([]);
      await rm(folder, { recursive: true });
      await rename(`${folder}-away`, folder);
      expect(await listed()).toEqual(["a/b"]);
    });

    it("another store in its place is STORE_CHANGED", async () => {
      const other = await openFresh();
      await rename(folder, `${folder}-away`);
      await rename(other.folder, folder);
      expect(await codesOfAll()).toEqual(Array(4).fill("STORE_CHANGED"));
      await rm(`${folder}-away`, { recursive: true });
    });

    it.each([
      ["garbage", "nonsense\n"],
      ["nothing", ""],
      ["a later layout", `postern-store 2 ${"a".repeat(26)}\n`],
      ["more than the id", `postern-store 1 ${"a".repeat(26)}\n\n`],
    ])("an id file that holds %s is STORE_CHANGED", async (_what, content) => {
      await writeFile(join(folder, ".postern-store"), content);
      expect(await rejectionCode(get("a/b"))).toBe("STORE_CHANGED");
      expect(await rejectionCode(openFileStore(folder, deps))).toBe("STORE_CHANGED");
    });

    it("an id file that was copied with the same content is the same store", async () => {
      const path = join(folder, ".postern-store");
      const content = await readFile(path);
      await rm(path);
      await writeFile(path, content);
      expect(await put("a/b")).toBe("created");
    });
  });

  describe("without hard links", () => {
    beforeEach(async () => {
      store = await openFileStore(folder, { ...deps, hardLinks: "never" });
    });
    /** What a writer leaves that dies while it holds its claim on the key. */
    const leaveClaim = async (key: string) => {
      const name = createHash("sha256").update(join(folder, key)).digest("hex");
      const claim = join(folder, ".postern-tmp", `claim-${name}`);
      await writeFile(claim, "");
      return claim;
    };

    it("does not call itself atomic, and neither does the probe", async () => {
      expect(store.capabilities.atomicPut).toBe("no");
      const gateway = parseGatewayName("eu-lab");
      const probe = await probeStore(store, { ...deps, gateway });
      expect(probe.conditionalPut).toBe("weak");
    });

    it("still never overwrites what it finds", async () => {
      expect(await put("a/b", "first")).toBe("created");
      expect(await put("a/b", "second")).toBe("exists");
      expect(await readFile(join(folder, "a/b"), "utf8")).toBe("first");
    });

    it("calls a name that another writer holds STORE_BUSY, and takes it over once the claim is stale", async () => {
      const claim = await leaveClaim("a/b");
      expect(await rejectionCode(put("a/b"))).toBe("STORE_BUSY");
      expect(await get("a/b")).toEqual({ status: "absent" });
      const old = (Date.now() - limits.staleClaimMs - 10_000) / 1000;
      await utimes(claim, old, old);
      expect(await rejectionCode(put("a/b"))).toBe("STORE_BUSY");
      expect(await put("a/b")).toBe("created");
    });
  });

  describe("removes what dead writers left", () => {
    it("when it is opened, once that is old, and not before", async () => {
      const temporaries = join(folder, ".postern-tmp");
      await writeFile(join(temporaries, "old"), "x");
      await writeFile(join(temporaries, "young"), "x");
      const old = (Date.now() - limits.staleTemporaryMs - 10_000) / 1000;
      await utimes(join(temporaries, "old"), old, old);
      const sweep = (dryRun: boolean) => sweepFileStore(folder, { ...deps, dryRun });
      expect(await sweep(true)).toBe(1);
      expect(await readdir(temporaries)).toEqual(["old", "young"]);
      await openFileStore(folder, deps);
      expect(await readdir(temporaries)).toEqual(["young"]);
      await utimes(join(temporaries, "young"), old, old);
      expect([await sweep(false), await sweep(false)]).toEqual([1, 0]);
      expect(await readdir(temporaries)).toEqual([]);
    });

    it("from no other store than the one that is expected", async () => {
      const temporaries = join(folder, ".postern-tmp");
      await writeFile(join(temporaries, "old"), "x");
      await utimes(join(temporaries, "old"), 1, 1);
      const expectedId = "a".repeat(26);
      const sweeping = sweepFileStore(folder, { ...deps, expectedId, dryRun: false });
      expect(await rejectionCode(sweeping)).toBe("STORE_CHANGED");
      expect(await readdir(temporaries)).toEqual(["old"]);
    });
  });

  it("works on when somebody tidies its folder for unfinished files away", async () => {
    await rmdir(join(folder, ".postern-tmp"));
    expect(await put("a/b")).toBe("created");
  });

  it("an object with a second name outside is an object", async () => {
    await put("a/b");
    await link(join(folder, "a/b"), join(folder, "a/c"));
    expect(await listed()).toEqual(["a/b", "a/c"]);
  });
});

describe("a folder in a store that this user may not read", () => {
  const child = fileURLToPath(new URL("file-denied-child.ts", import.meta.url));

  it.each([
    ["keeps nothing beside it from being listed", 0o000, "in/", ["in/a/1", "in/b/", "in/c/1"]],
    ["but for its names neither", 0o444, "in/", ["in/a/1", "in/b/1", "in/c/1"]],
    ["is STORE_DENIED where it is asked for itself", 0o000, "in/b/", "STORE_DENIED"],
  ])("%s", async (_what, mode, prefix, expected) => {
    const { store, folder, remove } = await openFresh();
    try {
      for (const key of ["in/a/1", "in/b/1", "in/c/1"]) await store.put(keyOf(key), utf8("x"));
      for (const open of ["", "in", "in/a", "in/c"]) await chmod(join(folder, open), 0o755);
      await chmod(join(folder, "in/b"), mode);
      const told = execFileSync(process.execPath, [child, folder, prefix], { encoding: "utf8" });
      expect(JSON.parse(told)).toEqual(expected);
    } finally {
      await chmod(join(folder, "in/b"), 0o755);
      await remove();
    }
  });
});

describe("errors of the file system", () => {
  it.each([
    ["ENOSPC", "STORE_FULL"],
    ["EDQUOT", "STORE_FULL"],
    ["EFBIG", "STORE_FULL"],
    ["EROFS", "STORE_READ_ONLY"],
    ["EACCES", "STORE_DENIED"],
    ["EPERM", "STORE_DENIED"],
    ["EMFILE", "STORE_BUSY"],
    ["EIO", "STORE_UNREACHABLE"],
    ["ESTALE", "STORE_UNREACHABLE"],
    ["EXDEV", "STORE_FAILED"],
  ])("%s is %s", (errno, code) => {
    const thrown = Object.assign(new Error("failed"), { code: errno });
    expect(fileError(thrown, "put a").code).toBe(code);
  });
});

/** A file system of its own, if this user may mount one. */
function mountTmpfs(folder: string, size: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "postern-test", folder], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

describe("a disk of its own", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "postern-mount-"));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  const unmount = () => execFileSync("umount", [folder]);

  it("that is full is STORE_FULL, and nothing torn can be seen", async ({ skip }) => {
    if (!mountTmpfs(folder, "256k")) skip("mounting needs more rights");
    try {
      const store = await openFileStore(folder, { ...deps, create: true });
      const failure = await rejection(store.put(keyOf("a/large"), new Uint8Array(512 * 1024)));
      expect(failure?.code).toBe("STORE_FULL");
      expect(await store.list({ prefix: "", limit: 10 })).toEqual({ entries: [], more: false });
      expect(await store.put(keyOf("a/small"), utf8("x"))).toBe("created");
    } finally {
      unmount();
    }
  });

  it("that is read-only can be read and listed; writing is STORE_READ_ONLY", async ({ skip }) => {
    if (!mountTmpfs(folder, "256k")) skip("mounting needs more rights");
    try {
      const writable = await openFileStore(folder, { ...deps, create: true });
      await writable.put(keyOf("a/b"), utf8("x"));
      execFileSync("mount", ["-o", "remount,ro", folder]);
      const store = await openFileStore(folder, deps);
      expect(await store.get(keyOf("a/b"), { maxBytes })).toMatchObject({ status: "found" });
      expect((await store.list({ prefix: "", limit: 10 })).entries).toHaveLength(1);
      expect(await rejectionCode(store.put(keyOf("a/c"), utf8("x")))).toBe("STORE_READ_ONLY");
      expect(await rejectionCode(store.delete(keyOf("a/b")))).toBe("STORE_READ_ONLY");
    } finally {
      unmount();
    }
  });

  it("pulled is STORE_MISSING, and the mount point stays as it is", async ({ skip }) => {
    if (!mountTmpfs(folder, "256k")) skip("mounting needs more rights");
    const store = await openFileStore(folder, { ...deps, create: true });
    unmount();
    expect(await rejectionCode(store.list({ prefix: "", limit: 1 }))).toBe("STORE_MISSING");
    expect(await rejectionCode(store.put(keyOf("a/b"), utf8("x")))).toBe("STORE_MISSING");
    expect(await readdir(folder)).toEqual([]);
  });

  it("with a copy of it mounted over it is STORE_CHANGED, although the id is the same", async ({
    skip,
  }) => {
    if (!mountTmpfs(folder, "256k")) skip("mounting needs more rights");
    const store = await openFileStore(folder, { ...deps, create: true });
    const id = await readFile(join(folder, ".postern-store"));
    mountTmpfs(folder, "256k");
    try {
      await writeFile(join(folder, ".postern-store"), id);
      expect(await rejectionCode(store.list({ prefix: "", limit: 1 }))).toBe("STORE_CHANGED");
    } finally {
      unmount();
      unmount();
    }
  });
});
