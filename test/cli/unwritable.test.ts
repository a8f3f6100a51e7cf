import { existsSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { unwrittenOf } from "../../src/cli/run.ts";
import type { Ended, Started } from "./support/cli.ts";
import { codesIn, type Pair } from "./support/pair.ts";
import { pairInFolder } from "./support/stores.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await pairInFolder();
});
beforeEach(() => pair.hold());
afterAll(() => pair.remove());

const full = "/dev/full";
const hasFullDevice = existsSync(full);
if (!hasFullDevice) process.stdout.write(`SKIPPED: output to a full disk (there is no ${full})\n`);

/** A script in which `$caller` and `$callee` are the two homes. */
function bash(script: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const homes = { caller: pair.caller, callee: pair.callee };
  return pair.user.bash(script, { env: { ...homes, ...env } });
}

/** What is asked again of a run that holds; its key is one word. */
function ask(key: string): string {
  return `eu-lab/echo --prompt hold --idempotency-key ${key} --home "$caller"`;
}

/** A pass in the middle of a run that holds. */
async function pollAtWork(key: string): Promise<{ runId: string; poll: Started }> {
  const runId = await pair.send(key, "hold");
  const poll = pair.start(pair.callee, ["poll"]);
  await pair.untilStarted(runId);
  return { runId, poll };
}

describe("a stdout on a full disk", () => {
  test
    .skipIf(!hasFullDevice)
    .each([
      'runs list --home "$caller"',
      'peers list --json --home "$caller"',
      'doctor --home "$caller"',
      "help runs list",
      "--help",
      "--version",
    ])("of `postern %s` is one coded line, OUTPUT_FAILED, and exit 2", async (command) => {
    const { status, stderr } = await bash(`postern ${command} > ${full}`);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^postern: OUTPUT_FAILED: .*\n$/);
  });

  test.skipIf(!hasFullDevice)("is no failure for a command that has nothing to say", async () => {
    expect(await bash(`postern poll --home "$callee" > ${full}`)).toMatchObject({
      status: 0,
      stderr: "",
    });
  });

  test.skipIf(!hasFullDevice)(
    "ends a call, which says how to go on; the run is not harmed",
    async () => {
      const { runId, poll } = await pollAtWork("full");
      const { status, stderr } = await bash(`postern call ${ask("full")} --timeout 20s > ${full}`);
      expect({ status, codes: codesIn(stderr) }).toEqual({ status: 2, codes: ["OUTPUT_FAILED"] });
      expect(stderr).toContain(`postern runs watch ${runId}`);
      pair.release();
      expect(await poll.ended).toMatchObject({ status: 0 });
      expect(await pair.succeed(pair.caller, ["runs", "watch", runId])).toBe("begun\nreleased\n");
    },
  );
});

describe("a reader that goes away", () => {
  test.each(['runs list --home "$caller"', "--help", 'doctor --home "$caller"'])(
    "ends `postern %s` quietly, with the status that SIGPIPE gives other tools",
    async (command) => {
      const script = `postern ${command} | true; exit "\${PIPESTATUS[0]}"`;
      expect(await bash(script)).toEqual({ status: 141, signal: null, stdout: "", stderr: "" });
    },
  );

  test("ends a call in the middle of its answer, quietly; the run goes on", async () => {
    const { runId, poll } = await pollAtWork("gone");
    const seen = path.join(pair.user.folder, "seen");
    const calling = bash(
      `postern call ${ask("gone")} | { head -c 1; exec 0<&-; touch ${seen}; }; exit "\${PIPESTATUS[0]}"`,
    );
    while (!existsSync(seen)) await delay(10);
    pair.release();
    expect(await calling).toEqual({ status: 141, signal: null, stdout: "b", stderr: "" });
    expect(await poll.ended).toMatchObject({ status: 0 });
    expect(await pair.succeed(pair.caller, ["runs", "watch", runId])).toBe("begun\nreleased\n");
  });

  test("leaves nothing behind of a demo", { timeout: 60_000 }, async () => {
    const folder = path.join(pair.user.folder, "temporary");
    mkdirSync(folder);
    const script = 'postern demo | head -n 1; exit "${PIPESTATUS[0]}"';
    const { status, stderr } = await bash(script, { TMPDIR: folder });
    expect({ status, stderr }).toEqual({ status: 141, stderr: "" });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("a stderr that cannot be written", () => {
  test.skipIf(!hasFullDevice)("changes neither the result nor the status", async () => {
    expect(await bash(`postern peers show nobody --home "$caller" 2> ${full}`)).toMatchObject({
      status: 2,
    });
    const good = await bash(
      `postern peers list --json --log-level debug --home "$caller" 2> ${full}`,
    );
    expect(good).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\[/) });
  });

  test("as a pipe without a reader", async () => {
    const show = 'postern peers show nobody --home "$caller"';
    const script = `exec 3>&1; { ${show}; echo "$?" >&3; } 2>&1 | true`;
    expect(await bash(script)).toMatchObject({ stdout: "2\n" });
  });

  test("together with such a stdout", async () => {
    const script = 'postern runs list --home "$caller" 2>&1 | true; exit "${PIPESTATUS[0]}"';
    expect(await bash(script)).toMatchObject({ status: 141 });
  });
});

describe("what nobody caught", () => {
  test("is a fault of the program: INTERNAL with its stack, exit 70", async () => {
    const late = `
      const timer = setInterval(() => {
        if (process.listenerCount("uncaughtException") === 0) return;
        clearInterval(timer);
        throw new TypeError("made up");
      }, 10)`;
    const options = `--import=data:text/javascript,${encodeURIComponent(late)}`;
    const { status, stderr } = await bash(`postern call ${ask("left")} --timeout 20s`, {
      NODE_OPTIONS: options,
    });
    expect(status).toBe(70);
    expect(stderr).toMatch(/^postern: INTERNAL: .*made up\nTypeError: made up\n +at /);
  });
});

describe("what an unwritable stdout ends with", () => {
  test("is a code and the system's reason, or silence where the reader went away", () => {
    const failed = (code: string): unknown => Object.assign(new Error("write"), { code });
    expect(unwrittenOf(failed("EPIPE"))).toEqual({ status: 141 });
    expect(unwrittenOf(failed("EIO"))).toEqual({
      status: 2,
      report: expect.stringMatching(/^OUTPUT_FAILED: stdout cannot be written \(EIO\): /),
    });
  });
});
