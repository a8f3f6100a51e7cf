import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asPosternError } from "../../src/base/errors.ts";
import { holdPassLock } from "../../src/gateway/pass-lock.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), "postern-pass-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const module = path.join(import.meta.dirname, "../../src/gateway/pass-lock.ts");
const holding = (folder: string): string[] => [
  "--input-type=module",
  "-e",
  `const { holdPassLock } = await import(${JSON.stringify(module)});
   holdPassLock(${JSON.stringify(folder)}); process.stdout.write("held"); setInterval(() => {}, 1000);`,
];

describe("the lock of a pass", () => {
  test("is held by one process at a time: PASS_RUNNING for the others, until it is let go", () => {
    {
      using _lock = holdPassLock(home);
      expect(statSync(path.join(home, "poll.lock")).mode & 0o777).toBe(0o600);
      expect(codeOf(home)).toBe("PASS_RUNNING");
      expect(() => execFileSync(process.execPath, holding(home), { stdio: "pipe" })).toThrow(
        "PASS_RUNNING",
      );
    }
    expect(codeOf(home)).toBe("none");
  });

  test("is dropped when its process is killed", async () => {
    const child = spawn(process.execPath, holding(home), { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    expect(codeOf(home)).toBe("PASS_RUNNING");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(codeOf(home)).toBe("none");
  });
});

function codeOf(folder: string): string {
  try {
    holdPassLock(folder)[Symbol.dispose]();
    return "none";
  } catch (thrown) {
    return asPosternError(thrown).code;
  }
}
