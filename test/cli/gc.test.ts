import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { treeOf } from "../support/tree.ts";
import { codesIn, type Pair } from "./support/pair.ts";
import { meetings, pairInFolder } from "./support/stores.ts";

const nothing = {
  state: { receipts: 0, asked: 0, quarantine: 0, troubles: 0 },
  store: {
    answeredFrames: 0,
    unknownFrames: 0,
    leftFrames: 0,
    cancels: 0,
    probes: 0,
    ownerKeys: 0,
    temporaries: 0,
  },
  problem: null,
};

describe.each(meetings)("gc $where", ({ skip, makePair }) => {
  let pair: Pair;
  beforeAll(async () => {
    if (!skip) pair = await makePair();
  });
  afterAll(() => {
    if (!skip) pair.remove();
  });

  test.skipIf(skip)("keeps all that is young, and spares a run its answer", async () => {
    pair.release();
    const runId = await pair.send("young");
    await pair.poll();
    for (const home of [pair.caller, pair.callee]) {
      expect(await pair.json(home, ["gc", "--dry-run"])).toEqual({ dryRun: true, ...nothing });
      expect(await pair.json(home, ["gc"])).toEqual({ dryRun: false, ...nothing });
    }
    expect(await pair.succeed(pair.caller, ["runs", "watch", runId])).toContain("YOUNG");
  });
});

describe("gc", () => {
  let pair: Pair;
  let store: string;
  beforeAll(async () => {
    pair = await pairInFolder();
    store = fileURLToPath(pair.storeUrl);
  });
  afterAll(() => pair.remove());

  /** A file of the store that nobody has touched for some time. */
  function leave(name: string, ageMs: number): void {
    const file = path.join(store, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, "x");
    const atSeconds = (Date.now() - ageMs) / 1000;
    utimesSync(file, atSeconds, atSeconds);
  }

  test("says what would go without touching anything, then lets it go, once", async () => {
    const oldMs = limits.retentionMs + 2 * limits.skewMs;
    const frames = `frames/support/${"a".repeat(52)}/${"b".repeat(16)}`;
    leave(`eu-lab/${frames}/0001-0000000000`, oldMs);
    leave(`eu-lab/${frames}/0001-0000000001`, oldMs / 2);
    leave(`eu-lab/probe/${"c".repeat(26)}`, oldMs);
    leave(`support/probe/${"c".repeat(26)}`, oldMs);
    leave(".postern-tmp/left-over", oldMs);
    const expected = {
      ...nothing,
      store: { ...nothing.store, unknownFrames: 1, leftFrames: 1, probes: 1, temporaries: 1 },
    };
    const state = path.join(pair.callee, "state.db");
    const before = [treeOf(store), readFileSync(state)];
    const dry = await pair.json(pair.callee, ["gc", "--dry-run", "--log-level", "error"]);
    expect(dry).toEqual({ dryRun: true, ...expected });
    const text = await pair.succeed(pair.callee, ["gc", "--dry-run", "--log-level", "error"]);
    expect(text).toMatch(/^KIND +WOULD GO$/m);
    expect(text).toMatch(/^left-over probes +1$/m);
    expect([treeOf(store), readFileSync(state)]).toEqual(before);

    const quiet = ["--log-level", "error"];
    const gone = await pair.json(pair.callee, ["gc", ...quiet]);
    expect(gone).toEqual({ dryRun: false, ...expected });
    const { stdout } = await pair.run(pair.callee, ["gc", ...quiet]);
    expect(stdout).toMatch(/^KIND +GONE$/m);
    expect(stdout).toMatch(/^left-over probes +0$/m);
    const left = treeOf(store).map((line) => line.split(" ")[0]);
    expect(left).toContain(`eu-lab/${frames}/0001-0000000001`);
    expect(left).toContain(`support/probe/${"c".repeat(26)}`);
  });

  test("ends with 3 where the store is away, and prints what went all the same", async () => {
    const away = await pairInFolder();
    const config = path.join(away.callee, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('/store"', '/nowhere"'));
    const { status, stdout, stderr } = await away.run(away.callee, ["gc", "--json"]);
    expect([status, codesIn(stderr)]).toEqual([3, ["STORE_MISSING"]]);
    const problem = { code: "STORE_MISSING" };
    expect(JSON.parse(stdout)).toMatchObject({ ...nothing, problem });
    away.remove();
  });
});
