import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder and what is missing above it; returns the topmost that was made, or undefined when it was
 * there. Throws as `mkdirSync` does. (Node's own recursive call never returns where a file system says ENOENT
 * to every new name, as /proc does.)
 */
export function makePath(path: string, mode?: number): string | undefined {
  const missing: string[] = [];
  for (let folder = path; !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
  if (missing.length === 0 && !statSync(path).isDirectory()) mkdirSync(path);
  for (const folder of missing) makeOne(folder, mode);
  return missing[0];
}

/** Somebody else may make it at the same time. */
function makeOne(folder: string, mode: number | undefined): void {
  try {
    mkdirSync(folder, mode === undefined ? {} : { mode });
  } catch (thrown) {
    if (!existsSync(folder) || !statSync(folder).isDirectory()) throw thrown;
  }
}
