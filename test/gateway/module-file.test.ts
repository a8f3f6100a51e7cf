import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requireModuleFile } from "../../src/gateway/module-file.ts";
import { codeOf } from "../base/code-of.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-module-file-"));
  file = join(folder, "agent.mjs");
  writeFileSync(file, "throw new Error('it was run')", { mode: 0o644 });
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const lookAt = (path: string) => codeOf(() => requireModuleFile(path));

describe("the file of a module", () => {
  test("may be read by others, and be reached by a link; it is not run", () => {
    expect(lookAt(file)).toBe("accepted");
    const link = join(folder, "link.mjs");
    symlinkSync(file, link);
    expect(lookAt(link)).toBe("accepted");
  });

  test.each(["664", "646"])("must not be written by others: %s", (mode) => {
    chmodSync(file, Number.parseInt(mode, 8));
    expect(lookAt(file)).toBe("HOME_UNSAFE");
  });

  test("has to be there, and a file", () => {
    expect(lookAt(join(folder, "missing.mjs"))).toBe("CONFIG_INVALID");
    expect(lookAt(folder)).toBe("CONFIG_INVALID");
  });
});
