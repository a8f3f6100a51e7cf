import { readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openFileStore } from "../../src/store/file.ts";
import { treeOf } from "../support/tree.ts";
import { canMount, Disk } from "../support/disk.ts";
import { Served } from "./served.ts";

const timeoutMs = 120_000;

if (!canMount)
  process.stdout.write(
    "SKIPPED: disks that fail in the middle of a run (it takes root, to mount)\n",
  );

describe.skipIf(!canMount)(
  "a disk that fails in the middle of a run",
  { timeout: timeoutMs },
  () => {
    const disks: Disk[] = [];
    let served: Served;
    afterEach(async () => {
      for (const disk of disks.splice(0)) disk[Symbol.dispose]();
      await served.remove();
    });

    function diskAt(folder: string, size: string): Disk {
      const disk = new Disk(folder, size);
      disks.push(disk);
      return disk;
    }

    async function meetOn(under: "store" | "eu-lab", size = "1m"): Promise<Disk> {
      const made: Disk[] = [];
      served = await Served.make((folder) => {
        made.push(diskAt(path.join(folder, under), size));
        return pathToFileURL(path.join(folder, "store", "postern")).href;
      });
      const [disk] = made;
      if (disk === undefined) throw new Error("nobody asked where the store is");
      return disk;
    }

    test("full under the store: what is sent is kept, and both runs end once", async () => {
      const disk = await meetOn("store");
      const runId = await served.runAtWork();
      const makeRoom = disk.fill();
      const kept = await served.sendKept("meanwhile");
      expect(kept.codes).toEqual(["STORE_FULL"]);
      served.pair.release();
      await served.untilAgentIsGone();
      makeRoom();
      await served.allEndOnce([runId, kept.runId]);
    });

    test("full under the callee's home: nothing is run meanwhile, and both runs end once", async () => {
      const disk = await meetOn("eu-lab", "2m");
      const runId = await served.runAtWork();
      const makeRoom = disk.fill();
      const later = await served.pair.send("later", "x".repeat(100_000));
      served.pair.release();
      await served.untilAgentIsGone();
      await served.untilServiceSays("STATE_FULL");
      expect(served.pair.executions(later)).toBe(0);
      makeRoom();
      await served.allEndOnce([runId, later]);
    });

    test("read-only under the store: what is sent is kept, and both runs end once", async () => {
      const disk = await meetOn("store");
      const runId = await served.runAtWork();
      disk.mayBeWritten(false);
      const kept = await served.sendKept("meanwhile");
      expect(kept.codes).toEqual(["STORE_READ_ONLY"]);
      served.pair.release();
      await served.untilAgentIsGone();
      disk.mayBeWritten(true);
      await served.allEndOnce([runId, kept.runId]);
    });

    test("pulled: nothing is written in its place, nor on another disk there, and all runs end once", async () => {
      const disk = await meetOn("store");
      const runId = await served.runAtWork();
      disk.pull();
      const first = await served.sendKept("without a disk");
      expect(first.codes).toEqual(["STORE_MISSING"]);
      await served.untilServiceSays("STORE_MISSING");
      expect(readdirSync(disk.folder)).toEqual([]);

      const other = diskAt(path.join(served.pair.user.folder, "other"), "1m");
      const folder = path.join(other.folder, "postern");
      const made = { create: true, clock: systemClock, random: systemRandom };
      await (await openFileStore(folder, made)).close();
      const before = treeOf(folder);
      disk.replaceBy(other);
      const second = await served.sendKept("with another disk");
      expect(second.codes).toEqual(["STORE_CHANGED"]);
      served.pair.release();
      await served.untilAgentIsGone();
      await served.untilServiceSays("STORE_CHANGED");
      expect(treeOf(folder)).toEqual(before);

      disk.pull();
      disk.plug();
      await served.allEndOnce([runId, first.runId, second.runId]);
    });
  },
);
