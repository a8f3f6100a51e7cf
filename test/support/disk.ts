import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { errnoOf } from "../../src/base/errno.ts";

/** More of them than anybody takes to write a small file. */
const remounts = 1000;

/** A small disk, which can be full, turn read-only, be pulled and come back. */
export class Disk implements Disposable {
  /** Where its users meet it. */
  readonly folder: string;
  readonly #inner: string;
  #isPlugged = false;

  constructor(folder: string, size: string) {
    this.folder = folder;
    this.#inner = `${folder}.inside`;
    mkdirSync(folder, { recursive: true });
    mkdirSync(this.#inner);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", this.#inner]);
    this.plug();
  }

  /** Without this, its mount point is an empty folder. */
  plug(): void {
    execFileSync("mount", ["--bind", this.#inner, this.folder]);
    this.#isPlugged = true;
  }

  /** Somebody has plugged in another one at the same place. */
  replaceBy(other: Disk): void {
    execFileSync("mount", ["--bind", other.#inner, this.folder]);
    this.#isPlugged = true;
  }

  /** Not waiting for those who use it. */
  pull(): void {
    execFileSync("umount", ["--lazy", this.folder]);
    this.#isPlugged = false;
  }

  /** Until what this returns is called, not a byte more fits on it. */
  fill(): () => void {
    const filler = path.join(this.#inner, "filler");
    for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) appendUntilFull(filler, bytes);
    return () => rmSync(filler);
  }

  /** The system refuses it while a file there is open to be written: it is asked again until none is. */
  mayBeWritten(may: boolean): void {
    const remount = ["-o", `remount,${may ? "rw" : "ro"},bind`, this.folder];
    for (let tries = 1; ; tries += 1) {
      const { status, stderr } = spawnSync("mount", remount, { encoding: "utf8" });
      if (status === 0) return;
      if (tries === remounts) throw new Error(`mount ended with status ${status}: ${stderr}`);
    }
  }

  [Symbol.dispose](): void {
    if (this.#isPlugged) this.pull();
    execFileSync("umount", ["--lazy", this.#inner]);
  }
}

function appendUntilFull(file: string, bytes: number): void {
  try {
    for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: "a" });
  } catch (thrown) {
    if (errnoOf(thrown) !== "ENOSPC") throw thrown;
  }
}

/** Whether this user may mount; elsewhere the tests of real disks are skipped. */
export const canMount = process.getuid?.() === 0 && tryToMount();

function tryToMount(): boolean {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postern-mount-"));
  try {
    using disk = new Disk(path.join(folder, "disk"), "64k");
    disk.mayBeWritten(false);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
