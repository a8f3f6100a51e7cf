import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "src");

/** What each layer may import besides itself. There is no other way between them. */
const below: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ["base"],
  store: ["base"],
  state: ["base", "protocol"],
  trust: ["base", "protocol"],
  handlers: ["base", "protocol"],
  mailbox: ["base", "protocol", "store", "state", "trust"],
  gateway: ["base", "protocol", "store", "state", "trust", "mailbox", "handlers"],
  cli: ["base", "protocol", "store", "state", "trust", "mailbox", "handlers", "gateway"],
  // src/index.ts: the public API.
  "": ["base", "protocol", "store", "state", "trust", "mailbox", "handlers", "gateway"],
};

/** Layers that take bytes and documents and return values, and all that they may import from outside. */
const pure: Readonly<Record<string, readonly string[]>> = {
  protocol: ["node:buffer", "node:crypto", "@noble/ed25519", "cbor-x"],
  trust: ["node:crypto", "zod"],
};

/** What depends on where and when a program runs, and the files that may look at it. */
const ambient: readonly { readonly what: RegExp; readonly allowed: readonly string[] }[] = [
  { what: /\bprocess\.env\b/, allowed: ["handlers/exec.ts"] },
  { what: /\bprocess\.(?:argv|cwd\b|exit\b)/, allowed: [] },
  { what: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/, allowed: ["base/clock.ts"] },
  {
    what: /\bMath\.random\b|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/,
    allowed: ["base/random.ts"],
  },
];

interface SourceFile {
  /** Below src, with slashes. */
  readonly path: string;
  readonly text: string;
}

function sourceFiles(): SourceFile[] {
  return globSync("**/*.ts", { cwd: root }).map((path) => ({
    path: path.split(sep).join("/"),
    text: withoutComments(readFileSync(join(root, path), "utf8")),
  }));
}

function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\/.*$|^\s*\/\*[\s\S]*?\*\//gm, "");
}

function layerOf(path: string): string {
  return path.includes("/") ? (path.split("/")[0] ?? "") : "";
}

function importsOf({ text }: SourceFile): string[] {
  const statements =
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  return [...text.matchAll(statements)].flatMap(
    ([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? [],
  );
}

function layerFaults(file: SourceFile): string[] {
  const own = layerOf(file.path);
  const allowed = below[own];
  if (allowed === undefined) return [`${file.path}: no rule for this folder`];
  return importsOf(file).flatMap((name) => {
    if (!name.startsWith(".")) return importFault(file, own, name);
    const target = relative(root, join(root, dirname(file.path), name))
      .split(sep)
      .join("/");
    const layer = layerOf(target);
    return layer === own || allowed.includes(layer) ? [] : [`${file.path} imports ${target}`];
  });
}

function importFault(file: SourceFile, layer: string, name: string): string[] {
  const known = pure[layer];
  const fine =
    known === undefined || known.some((part) => name === part || name.startsWith(`${part}/`));
  return fine ? [] : [`${file.path} imports ${name}, and ${layer} is pure`];
}

function ambientFaults({ path, text }: SourceFile): string[] {
  if (layerOf(path) === "cli") return [];
  return ambient
    .filter(({ what, allowed }) => !allowed.includes(path) && what.test(text))
    .map(({ what }) => `${path} reads what should be passed in: ${what.exec(text)?.[0]}`);
}

function wildcardFaults({ path, text }: SourceFile): string[] {
  return /^\s*export\s*\*/m.test(text) ? [`${path} has an export *`] : [];
}

describe("the layers of src", () => {
  const files = sourceFiles();

  test("are all there to be checked", () => {
    expect(new Set(files.map(({ path }) => layerOf(path)))).toEqual(new Set(Object.keys(below)));
  });

  test("import downwards only, and the pure ones nothing that does I/O", () => {
    expect(files.flatMap(layerFaults)).toEqual([]);
  });

  test("get time, randomness and environment passed in", () => {
    expect(files.flatMap(ambientFaults)).toEqual([]);
  });

  test("name everything that they export", () => {
    expect(files.flatMap(wildcardFaults)).toEqual([]);
  });
});

describe("the check of the layers", () => {
  test.each([
    ["an import upwards", "base/a.ts", 'import { b } from "../store/b.ts";'],
    ["an import sideways", "store/a.ts", 'import type { B } from "../protocol/b.ts";'],
    ["an import over several lines", "store/a.ts", 'import {\n  b,\n  c,\n} from "../state/b.ts";'],
    ["a re-export", "trust/a.ts", 'export { b } from "../mailbox/b.ts";'],
    ["an import for its effects", "base/a.ts", 'import "../cli/b.ts";'],
    ["a dynamic import", "gateway/a.ts", 'const b = await import("../cli/b.ts");'],
    ["an import of the public API from below", "cli/a.ts", 'import { b } from "../index.ts";'],
    ["I/O in a pure layer", "protocol/a.ts", 'import { open } from "node:fs/promises";'],
    ["a package in a pure layer", "trust/a.ts", 'import { S3Client } from "@aws-sdk/client-s3";'],
    ["a folder without a rule", "misc/a.ts", ""],
  ])("sees %s", (_, path, text) => {
    expect(layerFaults({ path, text })).toHaveLength(1);
  });

  test.each([
    ["the environment", "mailbox/a.ts", 'const home = process.env["HOME"];'],
    ["arguments", "gateway/a.ts", "process.argv.slice(2)"],
    ["the clock", "state/a.ts", "const now = Date.now();"],
    ["the clock as a date", "state/a.ts", "const now = new Date();"],
    ["randomness", "mailbox/a.ts", "if (Math.random() < 0.5) retry();"],
  ])("sees a look at %s", (_, path, text) => {
    expect(ambientFaults({ path, text })).toHaveLength(1);
  });

  test("does not take a comment for code", () => {
    const text = withoutComments(
      "/** Never `Date.now()`. */\n// Math.random()\nconst at = clock.now();",
    );
    expect(ambientFaults({ path: "mailbox/a.ts", text })).toEqual([]);
  });
});
