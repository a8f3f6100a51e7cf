import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OnCrash } from "../../src/mailbox/take-over.ts";
import { hasConditionalWrites, s3Environment } from "../support/s3.ts";
import { Checker } from "./end-state.ts";
import { faultsIn, killsIn, matrixOf, settled, tableOf, type Wants } from "./matrix.ts";
import { inBucket, inFolders, type BucketMeeting } from "./meetings.ts";
import { brokenPromises } from "./promises.ts";
import { diesEachTime, scenarios, type Scenario } from "./scenarios.ts";
import { World, type Meeting } from "./world.ts";

/** `npm run kill-matrix` tries every cell. Without it, those are left out that come to the same as their neighbours. */
const triesAll = process.env["POSTERN_KILL_MATRIX"] === "all";
const timeoutMs = triesAll ? 3_600_000 : 600_000;

let checker: Checker;
let bucket: BucketMeeting;
let kills = 0;
let missed = 0;
let faults = 0;
beforeAll(async () => {
  checker = new Checker(s3Environment);
  if (hasConditionalWrites) bucket = await inBucket();
});
afterAll(async () => {
  checker[Symbol.dispose]();
  if (hasConditionalWrites) await bucket.remove();
  const cells = triesAll ? "every cell" : "not every cell: see `npm run kill-matrix`";
  process.stdout.write(
    `\nkill matrix (${cells}): ${kills} kills, ${faults} broken promises, ${missed} operations not met\n`,
  );
});

describe.each(scenarios)("killed at any operation of `$name`", (scenario) => {
  test(
    "in a folder: nothing is lost, nothing runs twice",
    async () => expect(await brokenIn("in a folder", inFolders, scenario)).toEqual([]),
    timeoutMs,
  );

  test.skipIf(!hasConditionalWrites)(
    "on real S3: nothing is lost, nothing runs twice",
    async () => expect(await brokenIn("on real S3", bucket, scenario)).toEqual([]),
    timeoutMs,
  );
});

describe.each(scenarios.filter(({ asksRoute }) => asksRoute))(
  "killed at any operation of `$name`, where the route says retry",
  (scenario) => {
    test(
      "in a folder: it runs again, and no attempt twice",
      async () => expect(await brokenIn("in a folder", inFolders, scenario, "retry")).toEqual([]),
      timeoutMs,
    );

    test.skipIf(!hasConditionalWrites)(
      "on real S3: it runs again, and no attempt twice",
      async () => expect(await brokenIn("on real S3", bucket, scenario, "retry")).toEqual([]),
      timeoutMs,
    );
  },
);

describe.each([
  { where: "in a folder", skip: false, meeting: () => inFolders },
  { where: "on real S3", skip: !hasConditionalWrites, meeting: () => bucket },
])("killed each time that a run is at work, $where", ({ skip, meeting }) => {
  test.skipIf(skip)(
    "it is started three times at most, and then ends interrupted",
    async () => {
      const world = await World.make(meeting(), "retry");
      await diesEachTime(world);
      const end = await settled(world, checker);
      expect(end.asked?.terminal?.status).toBe("interrupted");
      expect(world.started).toHaveLength(3);
      expect(brokenPromises(world, end, { ending: "answered", onCrash: "retry" })).toEqual([]);
      world.remove();
    },
    timeoutMs,
  );
});

/** Kills, prints what came of it, and answers with the promises that were broken. */
async function brokenIn(
  where: string,
  meeting: Meeting,
  scenario: Scenario,
  onCrash: OnCrash = "report",
): Promise<readonly string[]> {
  const wants = wanted(scenario, onCrash);
  const rows = await matrixOf({ scenario, meeting, onCrash, checker, wants });
  process.stdout.write(tableOf(`${scenario.name} (${where}, on-crash ${onCrash})`, rows));
  const broken = faultsIn(rows);
  kills += killsIn(rows).met;
  missed += killsIn(rows).missed;
  faults += broken.length;
  return broken;
}

/** What others can see, or this gateway remembers. */
const leavesTraces = /^(?:state commit|PUT|DELETE|(?:link|unlink) (?:request|cancel|frames|owner))/;

/**
 * Where a process does one thing after the other, dying before an operation is dying after the one before it; what
 * leaves no trace is tried in two scenarios, and what several have in common in one; and before a run's first start,
 * its route has not been asked.
 */
function wanted(scenario: Scenario, onCrash: OnCrash): Wants {
  if (triesAll) return () => true;
  const ownFrom = onCrash === "retry" ? "state commit start" : scenario.ownFrom;
  return ({ name, when }, number, operations) => {
    const common = operations.findIndex((operation) => operation.name === ownFrom);
    if (number <= common) return false;
    if (leavesTraces.test(name)) return true;
    return when === "after" && onCrash === "report" && scenario.stepByStep === true;
  };
}
