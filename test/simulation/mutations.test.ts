import { execFile } from "node:child_process";
import { stripTypeScriptTypes } from "node:module";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { mutations } from "./mutations/catalog.ts";
import { edited, editedFiles } from "./mutations/mutation.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("run.ts", import.meta.url));

async function runProgram(...parameters: string[]): Promise<string> {
  const flags = ["--disable-warning=ExperimentalWarning", program, ...parameters];
  const { stdout } = await run(process.execPath, flags, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

describe("the mutations", () => {
  it("have names of their own", () => {
    const names = mutations.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]+(?:-[a-z]+)+$/);
  });

  it.each(mutations)("change the source as it is now, into source: $name", (mutation) => {
    const files = editedFiles(mutation);
    expect(files.size).toBeGreaterThan(0);
    for (const [url, source] of files) {
      expect(source).not.toBe(readFileSync(new URL(url), "utf8"));
      expect(() => stripTypeScriptTypes(source)).not.toThrow();
    }
  });

  it("are refused where the source they change is gone, or is there twice", () => {
    const edit = { file: "some.ts", find: "one", replace: "other" };
    expect(edited("this one", [edit])).toBe("this other");
    expect(() => edited("none of them", [{ ...edit, find: "two" }])).toThrow("0 times");
    expect(() => edited("one and one", [edit])).toThrow("2 times");
  });

  it(
    "are all found by the simulation, which finds nothing at the same seeds without them",
    { timeout: 1_800_000 },
    async () => {
      const output = await runProgram("--mutations");
      process.stdout.write(output);
      expect(output).toMatch(
        `${mutations.length} of ${mutations.length} mutations found, 0 violations without them`,
      );
    },
  );
});
