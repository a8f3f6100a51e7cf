import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "@oclif/core/parser";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import Poll from "../../src/cli/commands/poll.ts";
import Serve from "../../src/cli/commands/serve.ts";
import { parseDuration } from "../../src/cli/duration.ts";
import { exitStatusOf } from "../../src/cli/exit-status.ts";

const root = join(import.meta.dirname, "../..");
const folder = join(root, "docs", "systemd");
/** How each command reads its flags. */
const commands = {
  poll: (argv: string[]) => parse(argv, { flags: Poll.flags, baseFlags: Poll.baseFlags }),
  serve: (argv: string[]) => parse(argv, { flags: Serve.flags, baseFlags: Serve.baseFlags }),
};

type Command = keyof typeof commands;

/** The settings of one unit, each with its last value. */
function unit(name: string): ReadonlyMap<string, string> {
  const text = readFileSync(join(folder, name), "utf8");
  return new Map(
    [...text.matchAll(/^([A-Za-z]+)=(.*)$/gm)].map(([, key, value]) => [key ?? "", value ?? ""]),
  );
}

/** The flags that the unit starts the program with. */
async function flagsOf(command: Command): Promise<Readonly<Record<string, unknown>>> {
  const line = unit(`postern-${command}.service`).get("ExecStart");
  const [program, id, ...argv] = line?.split(" ") ?? [];
  expect([program, id]).toEqual(["postern", command]);
  const { flags } = await commands[command](argv);
  return flags;
}

const secondsOf = (command: Command, key: string): number =>
  parseDuration(unit(`postern-${command}.service`).get(key) ?? "") / 1000;

describe("the units", () => {
  it("are those that the documents name", () => {
    const text = readFileSync(join(root, "docs", "cron.md"), "utf8");
    const named = text.matchAll(/\bpostern-[a-z]+\.(?:service|timer)\b/g);
    const started = readdirSync(folder).filter((name) => name !== "postern-poll.service");
    expect(new Set([...named].map(([name]) => name))).toEqual(new Set(started));
  });

  it("start the program with flags that it takes", async () => {
    expect(await flagsOf("poll")).toMatchObject({ "max-time": 600_000 });
    expect(await flagsOf("serve")).toMatchObject({ grace: limits.serveGraceMs });
  });

  it("leave time for runs to end before they are killed", async () => {
    const { grace } = await flagsOf("serve");
    const endMs = limits.handlerKillGraceMs + limits.storeTimeoutMs;
    expect(secondsOf("poll", "TimeoutStopSec") * 1000).toBeGreaterThan(endMs);
    expect(secondsOf("serve", "TimeoutStopSec") * 1000).toBeGreaterThan(Number(grace) + endMs);
  });

  it("take the exit statuses for what they mean", () => {
    const wrong = String(exitStatusOf({ class: "usage" }));
    expect(unit("postern-serve.service").get("RestartPreventExitStatus")).toBe(wrong);
    const later = String(exitStatusOf({ class: "later" }));
    expect(unit("postern-poll.service").get("SuccessExitStatus")).toBe(later);
  });

  it("keep the home in the one folder that is made for them", () => {
    for (const command of ["poll", "serve"] as const) {
      const settings = unit(`postern-${command}.service`);
      const state = `/var/lib/${settings.get("StateDirectory")}`;
      expect(settings.get("Environment")).toBe(`POSTERN_HOME=${state}/home`);
    }
  });

  it("harden both services alike", () => {
    const [poll, serve] = (["poll", "serve"] as const).map((command) => {
      const text = readFileSync(join(folder, `postern-${command}.service`), "utf8");
      return /^# All of this holds[^[]*/m.exec(text)?.[0].trim();
    });
    expect(poll).toMatch(/^NoNewPrivileges=yes$/m);
    expect(serve).toBe(poll);
  });
});

const canAnalyze = spawnSync("systemd-analyze", ["--version"]).status === 0;
if (!canAnalyze) process.stdout.write("SKIPPED: systemd-analyze verify (there is no systemd)\n");

describe.skipIf(!canAnalyze)("systemd", () => {
  let copies: string;
  beforeAll(() => {
    copies = mkdtempSync(join(tmpdir(), "postern-units-"));
  });
  afterAll(() => rmSync(copies, { recursive: true }));

  it("finds nothing wrong with the units", () => {
    const files = readdirSync(folder).map((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      const file = join(copies, name);
      // It looks for the program, which need not be installed here.
      writeFileSync(file, text.replace("ExecStart=postern", `ExecStart=${root}/bin/postern`));
      return file;
    });
    const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", ...files], {
      encoding: "utf8",
    });
    // What it does not know it only warns of.
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  it("reads the timer's calendar as every minute", () => {
    const calendar = unit("postern-poll.timer").get("OnCalendar") ?? "";
    const read = execFileSync("systemd-analyze", ["calendar", calendar], { encoding: "utf8" });
    expect(read).toContain("*-*-* *:*:00");
  });
});
