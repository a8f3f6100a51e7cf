import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { parseRunId } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openHome, updateConfig } from "../../src/gateway/home.ts";
import { openFileStore } from "../../src/store/file.ts";
import type { Started } from "../cli/support/cli.ts";
import { codesIn, Pair } from "../cli/support/pair.ts";
import { treeOf } from "../support/tree.ts";
import { canMount, Disk } from "./disk.ts";
import { Checker } from "./end-state.ts";
import { faultsOfEnding } from "./promises.ts";

if (!canMount)
  process.stdout.write(
    "SKIPPED: disks that fail in the middle of a run (it takes root, to mount)\n",
  );

describe.skipIf(!canMount)("a disk that fails in the middle of a run", () => {
  const disks: Disk[] = [];
  const services: Started[] = [];
  let checker: Checker;
  let pair: Pair;
  /** What the service has logged. */
  let said = "";
  beforeAll(() => {
    checker = new Checker({});
  });
  afterEach(async () => {
    for (const { child, ended } of services.splice(0)) {
      child.kill("SIGKILL");
      await ended;
    }
    for (const disk of disks.splice(0)) disk[Symbol.dispose]();
    pair.remove();
  });
  afterAll(() => checker[Symbol.dispose]());

  function diskAt(folder: string, size: string): Disk {
    const disk = new Disk(folder, size);
    disks.push(disk);
    return disk;
  }

  /** A run at work, in a service that looks again every second. The disk is under the store, or under a home. */
  async function runAtWork(
    under: "store" | "eu-lab",
    size = "1m",
  ): Promise<{ disk: Disk; runId: string }> {
    const made: Disk[] = [];
    pair = await Pair.make((folder) => {
      made.push(diskAt(path.join(folder, under), size));
      return pathToFileURL(path.join(folder, "store", "postern")).href;
    });
    const [disk] = made;
    if (disk === undefined) throw new Error("nobody asked for the store's URL");
    for (const home of [pair.caller, pair.callee]) {
      const serve = { minSeconds: 1, maxSeconds: 1 };
      updateConfig(openHome(home).paths, (config) => ({ ...config, serve }));
    }
    const runId = await pair.send("first", "hold");
    const service = pair.start(pair.callee, ["serve"]);
    services.push(service);
    said = "";
    service.child.stderr.on("data", (chunk) => {
      said += String(chunk);
    });
    await pair.untilStarted(runId);
    return { disk, runId };
  }

  /** What `send` says while the disk fails. */
  async function sendKept(key: string): Promise<{ runId: string; codes: readonly string[] }> {
    const args = ["send", "eu-lab/echo", "--prompt", "later", "--idempotency-key", key];
    const { status, stdout, stderr } = await pair.run(pair.caller, args);
    expect({ key, status }).toEqual({ key, status: 3 });
    return { runId: stdout.trim(), codes: codesIn(stderr) };
  }

  /** Each run has ended for both sides alike, and was run once. */
  async function allEndOnce(runIds: readonly string[]): Promise<void> {
    services.push(pair.start(pair.caller, ["serve"]));
    for (const runId of runIds) {
      const faults = async (): Promise<readonly string[]> =>
        faultsOfEnding(await checker.lookAt({ pair, runId: parseRunId(runId) }));
      await expect.poll(faults, { timeout: 30_000, interval: 200 }).toEqual([]);
      expect(pair.executions(runId)).toBe(1);
    }
  }

  test("full under the store: what is sent is kept, and both runs end once", async () => {
    const { disk, runId } = await runAtWork("store");
    const makeRoom = disk.fill();
    const kept = await sendKept("second");
    expect(kept.codes).toEqual(["STORE_FULL"]);
    pair.release();
    await untilAgentIsGone();
    makeRoom();
    await allEndOnce([runId, kept.runId]);
  });

  test("full under the callee's home: its run ends once, and the next one is run", async () => {
    const { disk, runId } = await runAtWork("eu-lab", "2m");
    const makeRoom = disk.fill();
    const later = await pair.send("second", "x".repeat(100_000));
    pair.release();
    await untilAgentIsGone();
    await saysOnStderr("STATE_FULL");
    expect(pair.executions(later)).toBe(0);
    makeRoom();
    await allEndOnce([runId, later]);
  });

  test("read-only under the store: what is sent is kept, and both runs end once", async () => {
    const { disk, runId } = await runAtWork("store");
    disk.mayBeWritten(false);
    const kept = await sendKept("second");
    expect(kept.codes).toEqual(["STORE_READ_ONLY"]);
    pair.release();
    await untilAgentIsGone();
    disk.mayBeWritten(true);
    await allEndOnce([runId, kept.runId]);
  });

  test("pulled, another one in its place, and back: nothing is written elsewhere, and all runs end once", async () => {
    const { disk, runId } = await runAtWork("store");
    disk.pull();
    const first = await sendKept("without a disk");
    expect(first.codes).toEqual(["STORE_MISSING"]);
    await saysOnStderr("STORE_MISSING");
    expect(readdirSync(disk.folder)).toEqual([]);

    const other = diskAt(path.join(pair.user.folder, "other"), "1m");
    const folder = path.join(other.folder, "postern");
    const made = { create: true, clock: systemClock, random: systemRandom };
    await (await openFileStore(folder, made)).close();
    const before = treeOf(folder);
    disk.replaceBy(other);
    const second = await sendKept("with another disk");
    expect(second.codes).toEqual(["STORE_CHANGED"]);
    pair.release();
    await untilAgentIsGone();
    await saysOnStderr("STORE_CHANGED");
    expect(treeOf(folder)).toEqual(before);

    disk.pull();
    disk.plug();
    await allEndOnce([runId, first.runId, second.runId]);
  });

  async function untilAgentIsGone(): Promise<void> {
    const pid = Number(readFileSync(`${pair.journal}.pid`, "utf8"));
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
  }

  /** The service has met what stands in its way. */
  async function saysOnStderr(code: string): Promise<void> {
    await expect.poll(() => said, { timeout: 20_000 }).toContain(code);
  }
});
