import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { readHeadersFile } from "../../src/gateway/headers-file.ts";
import { codeOf } from "../base/code-of.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-headers-"));
  file = join(folder, "headers");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function read(content: string | Uint8Array) {
  writeFileSync(file, content, { mode: 0o600 });
  return readHeadersFile(file);
}

describe("a headers file", () => {
  test("has a header on each line; names are told in lower case, and blank lines are none", () => {
    expect(read("Authorization: Bearer a b:c==\r\n\nX-Tenant:acme \t\n")).toEqual({
      authorization: "Bearer a b:c==",
      "x-tenant": "acme",
    });
    expect(read("")).toEqual({});
  });

  test.each([
    ["no colon", "Authorization hunter2"],
    ["no name", ": hunter2"],
    ["no value", "Authorization:"],
    ["a space in its name", "My Header: hunter2"],
    ["a space behind its name", "Authorization : hunter2"],
    ["a folded line", "X-A: hunter2\n  more"],
    ["a control character", "X-A: hunter2\u0000"],
    ["a lone carriage return", "X-A: hunter2\rX-B: b"],
    ["what is no ASCII", "X-A: hunter2é"],
    ["bytes that are no UTF-8", Buffer.from("X-A: hunter2\u00ff", "latin1")],
    ["a name twice", "X-A: hunter2\nx-a: b"],
    ["a header of Postern's own", "Postern-Caller: hunter2"],
    ["another key", "Idempotency-Key: hunter2"],
    ["another length", "Content-Length: 1"],
    ["another encoding", "Transfer-Encoding: chunked"],
    ["another host", "Host: hunter2"],
  ])("with %s is refused, with nothing of a value: CONFIG_INVALID", (_, content) => {
    expect(codeOf(() => read(content))).toBe("CONFIG_INVALID");
    expect(() => read(content)).toThrow(file);
    expect(() => read(content)).not.toThrow("hunter2");
  });

  test("that is missing, too large or a link is refused: CONFIG_INVALID", () => {
    expect(codeOf(() => readHeadersFile(file))).toBe("CONFIG_INVALID");
    const large = `X-A: ${"a".repeat(limits.maxHeadersFileBytes)}`;
    expect(codeOf(() => read(large))).toBe("CONFIG_INVALID");
    symlinkSync(file, join(folder, "link"));
    expect(codeOf(() => readHeadersFile(join(folder, "link")))).toBe("CONFIG_INVALID");
  });

  test.each(["640", "604", "620", "602"])("that others may look into is refused: %s", (mode) => {
    writeFileSync(file, "X-A: a");
    chmodSync(file, Number.parseInt(mode, 8));
    expect(codeOf(() => readHeadersFile(file))).toBe("HOME_UNSAFE");
  });
});
