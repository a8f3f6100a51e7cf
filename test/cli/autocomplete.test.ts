import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { User } from "./support/cli.ts";
import { commands } from "./support/manifest.ts";

const hasZsh = spawnSync("zsh", ["--version"]).status === 0;
if (!hasZsh) process.stdout.write("SKIPPED: completion in zsh (it is not installed)\n");

let user: User;
let setup: Readonly<Record<"bash" | "zsh", string>>;
let cache: string;
beforeAll(async () => {
  user = new User();
  cache = path.join(user.folder, "a user's cache");
  setup = { bash: await setupFor("bash"), zsh: await setupFor("zsh") };
});
afterAll(() => user.remove());

async function setupFor(shell: string): Promise<string> {
  const env = { XDG_CACHE_HOME: cache };
  const { status, stdout, stderr } = await user.run(["autocomplete", shell], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** What bash offers for the last word of each of several lines. */
async function offered(...lines: readonly (readonly string[])[]): Promise<readonly string[][]> {
  const tries = lines.map((words) => {
    const typed = ["postern", ...words].map((word) => `'${word}'`).join(" ");
    return `COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _postern_autocomplete; echo "\${COMPREPLY[*]}"`;
  });
  const { stdout, stderr } = await user.bash(`${setup.bash}\n${tries.join("\n")}`);
  expect(stderr).toBe("");
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ").filter((word) => word !== ""));
}

function flagsOf(id: string): string[] {
  const command = commands().find((each) => each.id === id);
  const names = command === undefined ? [] : [...Object.keys(command.flags), "help"];
  return names.map((name) => `--${name}`).toSorted();
}

describe("completion in bash", () => {
  test("offers every command, and every flag of each", async () => {
    const all = commands();
    const words = all.map(({ id }) => id.split(":"));
    const topLevel = [...new Set(words.map(([first = ""]) => first))].toSorted();
    expect(await offered([""])).toEqual([topLevel]);
    const flags = await offered(...words.map((each) => [...each, "--"]));
    expect(flags).toEqual(all.map(({ id }) => flagsOf(id)));
  });

  test.each([
    ["the commands of a topic", ["runs", ""], ["cancel", "list", "show", "watch"]],
    ["a command that is half typed", ["quarantine", "li"], ["list"]],
    ["a flag after an address, which has a slash", ["call", "lab/x", "--time"], ["--timeout"]],
    ["a flag after other flags", ["call", "--prompt", "two words", "x", "--js"], ["--json"]],
    [
      "the values of a flag that has few",
      ["agents", "add", "x", "--on-crash", ""],
      ["report", "retry"],
    ],
    ["the topics for help", ["help", "car"], ["card"]],
    ["no flags of a topic, which has none", ["runs", "--"], []],
    ["nothing but files for an argument", ["peers", "add", ""], []],
    ["nothing but files for a flag's value", ["call", "x/y", "--prompt-file", ""], []],
    ["nothing of a command that is not there", ["no-such", "--"], []],
  ])("offers %s", async (_, words, expected) => {
    expect(await offered(words)).toEqual([expected]);
  });
});

describe("completion in zsh", () => {
  test("knows every command, and every flag of each", () => {
    const script = readFileSync(
      path.join(cache, "postern/autocomplete/functions/zsh/_postern"),
      "utf8",
    );
    for (const { id, flags } of commands()) {
      const [topic, verb] = id.split(":");
      expect(script).toContain(verb === undefined ? `"${topic}[` : `_postern_${topic}()`);
      if (verb !== undefined) expect(script).toContain(`"${verb}[`);
      for (const name of Object.keys(flags)) expect(script, id).toContain(`--${name}"[`);
    }
  });

  test.skipIf(!hasZsh)("is one that zsh can load", async () => {
    const script = `set -e\n${setup.zsh.replace("compinit\n", "compinit -u -D\n")}autoload +X _postern\nwhence -w _postern`;
    const { status, stdout, stderr } = await user.bash(`zsh -f <<'EOF'\n${script}\nEOF`);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: "_postern: function\n",
      stderr: "",
    });
  });
});
