import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdPassLock } from "../../src/gateway/pass-lock.ts";
import { codesIn, type Pair } from "../cli/support/pair.ts";
import { pairInFolder } from "../cli/support/stores.ts";
import { blocksOf } from "../support/markdown.ts";
import { Shell } from "../support/shell.ts";

const root = path.join(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const text = read("docs/cron.md");

/** The lines of all crontabs, without those that say nothing. */
const lines = blocksOf(text, "crontab")
  .flatMap((block) => block.split("\n"))
  .filter((line) => line !== "" && !line.startsWith("#"));
const settings = lines.filter((line) => /^[A-Z_]+=/.test(line));
const jobs = lines
  .filter((line) => !settings.includes(line))
  .map((line) => {
    const [minute, hour, day, month, weekday, ...command] = line.split(" ");
    return { when: [minute, hour, day, month, weekday], command: command.join(" ") };
  });

/** What crontab(5) takes for one of its five times: `*`, numbers and ranges, each with a step, in a list. */
const time = /^(?:(?:\*|\d+(?:-\d+)?)(?:\/\d+)?)(?:,(?:\*|\d+(?:-\d+)?)(?:\/\d+)?)*$/;

describe("the crontab of the documents", () => {
  it("has settings, and five times before each command, which has no `%` for cron to take", () => {
    expect(settings.map((line) => line.split("=")[0])).toEqual(["PATH", "POSTERN_HOME", "MAILTO"]);
    expect(jobs).toHaveLength(2);
    for (const { when, command } of jobs) {
      for (const field of when) expect(field).toMatch(time);
      expect(command).toMatch(/^postern poll [^%]+$/);
    }
  });

  it("has the line of the README", () => {
    const [line] = blocksOf(read("README.md"), "crontab");
    expect(lines).toContain(line?.trim());
  });
});

describe("the very lines of the documents", () => {
  let pair: Pair;
  let shell: Shell;
  let env: Readonly<Record<string, string>>;
  beforeEach(async () => {
    pair = await pairInFolder();
    shell = new Shell(pair.user.folder);
    env = { POSTERN_HOME: pair.callee };
  });
  afterEach(() => pair.remove());

  it.each(jobs)("`$command` answers what waits, and has nothing to say", async ({ command }) => {
    const log = path.join(pair.user.folder, "log");
    shell.stub("logger", `cat > ${log}`);
    const runId = await pair.send("waits");
    expect(await shell.run(command, env)).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(pair.executions(runId)).toBe(1);
    if (command.includes("logger")) expect(readFileSync(log, "utf8")).toBe("");
    else expect(existsSync(log)).toBe(false);
  });

  it("let `try again later` pass where failures are reported, and nothing else", async () => {
    const wrapped = blocksOf(text, "sh").find((block) => block.includes("||")) ?? "exit 1";
    {
      using _lock = holdPassLock(pair.callee);
      const { status, stderr } = await shell.run(wrapped, env);
      expect({ status, codes: codesIn(stderr) }).toEqual({ status: 0, codes: ["PASS_RUNNING"] });
    }
    const { status } = await shell.run(wrapped, { POSTERN_HOME: path.join(pair.callee, "none") });
    expect(status).not.toBe(0);
  });
});
