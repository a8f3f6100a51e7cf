import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makePath } from "../../src/base/folders.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "postern-folders-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

it("makes what is missing, and says which is the topmost", () => {
  expect(makePath(join(root, "a", "b", "c"), 0o700)).toBe(join(root, "a"));
  expect(statSync(join(root, "a", "b", "c")).mode & 0o777).toBe(0o700);
  expect(makePath(join(root, "a", "b", "d"))).toBe(join(root, "a", "b", "d"));
});

it("leaves what is there", () => {
  expect(makePath(root)).toBeUndefined();
});

it("refuses where a file is in the way", () => {
  writeFileSync(join(root, "file"), "x");
  expect(() => makePath(join(root, "file"))).toThrow("EEXIST");
  expect(() => makePath(join(root, "file", "x"))).toThrow("ENOTDIR");
});

it.runIf(existsSync("/proc/self"))("comes back from a file system that takes no new names", () => {
  expect(() => makePath("/proc/postern/home")).toThrow("ENOENT");
});
