import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { machineName } from "../../src/gateway/machine.ts";
import { openSqliteState } from "../../src/state/sqlite.ts";
import type { State } from "../../src/state/state.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { treeOf } from "../support/tree.ts";
import { fieldOf, itemsOf, parsed, textOf } from "./support/json.ts";
import { parseExposition } from "./support/prometheus.ts";
import type { Pair } from "./support/pair.ts";
import { meetings, pairInFolder } from "./support/stores.ts";

interface Shown {
  readonly status: number | null;
  readonly view: unknown;
  readonly attention: readonly string[];
}

async function statusOf(pair: Pair, home: string, args: readonly string[] = []): Promise<Shown> {
  const { status, stdout } = await pair.run(home, ["status", "--json", ...args]);
  const view = parsed(stdout);
  const attention = itemsOf(fieldOf(view, "attention")).map((reason) => textOf(reason, "code"));
  return { status, view, attention };
}

/** Uses a home's state as one of its processes does. */
async function withState<T>(home: string, use: (state: State) => Promise<T>): Promise<T> {
  const file = path.join(home, "state.db");
  const state = await openSqliteState({ file, clock: systemClock, machine: machineName() });
  try {
    return await use(state);
  } finally {
    await state.close();
  }
}

describe.each(meetings)("status $where", ({ skip, makePair }) => {
  let pair: Pair;
  beforeAll(async () => {
    if (!skip) pair = await makePair();
  });
  afterAll(() => {
    if (!skip) pair.remove();
  });

  test.skipIf(skip)("tells what waits, and after a pass that all is well", async () => {
    pair.release();
    await pair.send("one");
    await pair.send("two");
    const senders = [{ sender: "support", waiting: 2 }];
    const before = await statusOf(pair, pair.callee);
    expect(before).toMatchObject({ status: 0, view: { inbox: { waiting: 2, senders } } });
    expect(before.view).toMatchObject({ passes: { last: null }, store: { reached: true } });
    expect((await pair.poll()).status).toBe(0);
    const after = await statusOf(pair, pair.callee, ["--max-pass-age", "5m"]);
    expect(after).toMatchObject({ status: 0, attention: [], view: { inbox: { waiting: 0 } } });
    expect(after.view).toMatchObject({
      passes: { last: { code: null } },
      owner: { generation: 1 },
    });
    const text = await pair.succeed(pair.callee, ["status"]);
    expect(text).toMatch(/^gateway +eu-lab in realm default$/m);
    expect(text.trimEnd().split("\n").length).toBeLessThan(24);
  });
});

describe("status", () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairInFolder();
    pair.release();
  });
  afterAll(() => pair.remove());

  test("changes nothing in store and state, in any of its forms", async () => {
    await pair.send("waits");
    const store = fileURLToPath(pair.storeUrl);
    const state = path.join(pair.callee, "state.db");
    const before = [treeOf(store), readFileSync(state)];
    for (const args of [[], ["--json"], ["--offline"], ["--format", "prometheus"]])
      await pair.succeed(pair.callee, ["status", ...args]);
    expect([treeOf(store), readFileSync(state)]).toEqual(before);
    await pair.poll();
  });

  test("works beside a service", async () => {
    const service = pair.start(pair.callee, ["serve"]);
    const { status, stdout } = await pair.run(pair.caller, [
      "call",
      "eu-lab/echo",
      "--prompt",
      "hello",
    ]);
    expect([status, stdout]).toEqual([0, expect.stringContaining("HELLO")]);
    const shown = await statusOf(pair, pair.callee, ["--max-pass-age", "2m"]);
    expect(shown).toMatchObject({ status: 0, attention: [] });
    service.child.kill("SIGTERM");
    expect((await service.ended).status).toBe(0);
  });

  test("prints what a scraper reads", async () => {
    const stdout = await pair.succeed(pair.callee, ["status", "--format", "prometheus"]);
    const samples = parseExposition(stdout);
    expect(samples).toContainEqual({ name: "postern_store_up", labels: {}, value: 1 });
    const attention = samples.filter(({ name }) => name === "postern_attention");
    expect(attention.map(({ value }) => value)).toEqual(attention.map(() => 0));
  });

  test("ends with 3 while the store is away, and tells what is known; offline with 0", async () => {
    const store = fileURLToPath(pair.storeUrl);
    renameSync(store, `${store}-away`);
    try {
      const shown = await statusOf(pair, pair.callee);
      expect(shown).toMatchObject({ status: 3, attention: ["STORE_AWAY"] });
      expect(shown.view).toMatchObject({
        store: { reached: false, code: "STORE_MISSING" },
        inbox: null,
        owner: { generation: 1 },
      });
      expect(await statusOf(pair, pair.callee, ["--offline"])).toMatchObject({ status: 0 });
      expect((await pair.poll()).status).toBe(3);
      const failed = await statusOf(pair, pair.callee, ["--offline"]);
      expect(failed).toMatchObject({ status: 1, attention: ["GATEWAY_TROUBLE"] });
      expect(failed.view).toMatchObject({ passes: { last: { code: "STORE_MISSING" } } });
    } finally {
      renameSync(`${store}-away`, store);
    }
    await pair.poll();
    expect(await statusOf(pair, pair.callee)).toMatchObject({ status: 0, attention: [] });
  });

  test("ends with 1 for each thing that needs attention", async () => {
    const trust = path.join(pair.caller, "trust.json");
    const good = readFileSync(trust, "utf8");
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    writeFileSync(trust, good.replace(/"expires": "[^"]*"/, `"expires": "${soon}"`));
    const expiring = await statusOf(pair, pair.caller, ["--max-pass-age", "1m"]);
    expect(expiring).toMatchObject({ status: 1, attention: ["TRUST_EXPIRING", "PASS_OVERDUE"] });
    expect(await statusOf(pair, pair.caller, ["--warn-trust", "59m"])).toMatchObject({ status: 0 });
    writeFileSync(trust, "{");
    expect((await statusOf(pair, pair.caller)).attention).toEqual(["TRUST_UNUSABLE"]);
    writeFileSync(trust, good);
    await withState(pair.caller, async (state) => {
      await claimedElsewhere(state, systemClock.now());
    });
    const moved = await statusOf(pair, pair.caller);
    expect(moved).toMatchObject({ status: 1, attention: ["STATE_ELSEWHERE"] });
  });

  test("lets nothing of what others chose move a cursor", async () => {
    await withState(pair.callee, async (state) => {
      const message = "\u001b[2Jgone\nattention  nothing";
      await state.noteTrouble({ subject: "sup\u001b]0;x", code: "X\u001b", message, atMs: 1 });
    });
    for (const args of [[], ["--json"], ["--format", "prometheus"]]) {
      const { stdout } = await pair.run(pair.callee, ["status", ...args]);
      expect(stdout).not.toContain("\u001b");
      expect(stdout.match(/^attention /gm) ?? []).toHaveLength(args.length === 0 ? 1 : 0);
    }
    await withState(pair.callee, (state) => state.clearTrouble("sup\u001b]0;x"));
  });

  test("ends with 2 without a home, and for two formats at once", async () => {
    const nowhere = await pair.run(path.join(pair.user.folder, "nowhere"), ["status"]);
    expect(nowhere).toMatchObject({ status: 2, stdout: "" });
    const both = await pair.run(pair.callee, ["status", "--json", "--format", "prometheus"]);
    expect(both).toMatchObject({ status: 2, stdout: "" });
  });
});
