import { truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ListEntry } from "../../src/store/store.ts";
import type { Ended } from "./support/cli.ts";
import { fieldOf, itemsOf, textOf } from "./support/json.ts";
import { codesIn, requestKey, type Pair } from "./support/pair.ts";
import { meetings, pairInFolder } from "./support/stores.ts";

const hostile = "\u001b]0;owned\u0007 hi\nverified  true";

/** A gateway that the callee does not know, and the run that it asked for. */
async function askAsStranger(pair: Pair): Promise<string> {
  const home = path.join(pair.user.folder, "stranger");
  const card = await pair.succeed(pair.callee, ["card", "export"]);
  await pair.succeed(home, ["init", "--gateway", "stranger", "--store", pair.storeUrl]);
  await pair.succeed(home, ["peers", "add", "-", "--yes"], { stdin: card });
  return (await pair.succeed(home, ["send", "eu-lab/echo", "--prompt", "let me in"])).trim();
}

async function tamper(pair: Pair, runId: string): Promise<void> {
  const key = requestKey(runId);
  await pair.withStore(async (store) => {
    const got = await store.get(key, { maxBytes: 10_000 });
    if (got.status !== "found") throw new Error("the request is not in the inbox");
    const bytes = Uint8Array.from(got.bytes, (byte, at) =>
      at === got.bytes.length - 1 ? byte ^ 1 : byte,
    );
    await store.delete(key);
    await store.put(key, bytes);
  });
}

function failed({ status, stderr }: Ended): string {
  return `${status} ${codesIn(stderr).join(" ")}`;
}

describe.each(meetings)("what waits in an inbox $where", ({ skip, makePair }) => {
  let pair: Pair;
  let running: readonly [Look, unknown];
  const runs: Record<string, string> = {};

  beforeAll(async () => {
    if (skip) return;
    pair = await makePair();
    running = await lookWhileRunning(pair);
    runs["plain"] = await pair.send("plain", hostile);
    const spare = ["send", "eu-lab/spare", "--prompt", "x"];
    runs["ungranted"] = (await pair.succeed(pair.caller, spare)).trim();
    runs["cancelled"] = await pair.send("cancelled");
    await pair.succeed(pair.caller, ["runs", "cancel", runs["cancelled"]]);
    runs["tampered"] = await pair.send("tampered");
    await tamper(pair, runs["tampered"]);
    runs["stranger"] = await askAsStranger(pair);
  });
  afterAll(() => {
    if (!skip) pair.remove();
  });

  test.skipIf(skip)("is listed with what a pass would do with it, and why", async () => {
    const { requests, unknown, more } = await lookOf(pair);
    const told = requests.map((each) => {
      const admission = fieldOf(each, "admission");
      const words = ["status", "outcome", "state", "code"].map((name) => textOf(admission, name));
      return [
        fieldOf(each, "runId"),
        fieldOf(each, "code") ?? fieldOf(each, "agent"),
        words.filter((word) => word !== "").join(" "),
        fieldOf(each, "cancel"),
      ];
    });
    expect(Object.fromEntries(told.map(([runId, ...rest]) => [runId, rest]))).toEqual({
      [runs["plain"] ?? ""]: ["echo", "admitted", false],
      [runs["ungranted"] ?? ""]: ["spare", "answered refused NOT_GRANTED", false],
      [runs["cancelled"] ?? ""]: ["echo", "answered cancelled CANCELLED", true],
      [runs["tampered"] ?? ""]: ["SIGNATURE_INVALID", "quarantined SIGNATURE_INVALID", false],
      [runs["stranger"] ?? ""]: ["PEER_UNKNOWN", "quarantined PEER_UNKNOWN", false],
    });
    // Strangers come after all peers.
    expect(fieldOf(requests.at(-1), "from")).toBe("stranger");
    expect([unknown, more]).toEqual([[], false]);
    expect(requests).toContainEqual(
      expect.objectContaining({
        runId: runs["plain"],
        from: "support",
        kind: "prompt",
        size: expect.any(Number),
        ageSeconds: expect.any(Number),
        requestDigest: expect.stringMatching(/^[a-z2-7]{52}$/),
        key: requestKey(runs["plain"] ?? ""),
        verified: true,
      }),
    );
  });

  test.skipIf(skip)("is listed of one sender alone, if asked", async () => {
    const { requests } = await lookOf(pair, ["--peer", "stranger"]);
    expect(requests.map((each) => fieldOf(each, "runId"))).toEqual([runs["stranger"]]);
  });

  test.skipIf(skip)("is shown with all that is verified of it", async () => {
    const shown = await pair.json(pair.callee, ["inbox", "show", runs["plain"] ?? ""]);
    expect(shown).toMatchObject({
      verified: true,
      code: null,
      detail: null,
      signed: { iss: "support", aud: "eu-lab", kid: expect.stringMatching(/^[a-z2-7]{52}$/) },
      untrusted: null,
      content: {
        idempotencyKey: "plain",
        callerIdentity: { gateway: "support" },
        prompt: { text: hostile },
      },
      receipt: null,
    });
    const text = await pair.succeed(pair.callee, ["inbox", "show", runs["plain"] ?? ""]);
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect(text.split("\n").filter((line) => line.startsWith("verified"))).toHaveLength(1);
  });

  test.skipIf(skip)("has its receipt shown while it runs in another process", () => {
    const [{ requests }, shown] = running;
    const admission = { status: "exists", state: "running", outcome: null, code: null };
    expect(requests).toMatchObject([{ verified: true, admission }]);
    expect(shown).toMatchObject({ admission, receipt: { state: "running", attempt: 1 } });
  });

  test.skipIf(skip)("is shown as untrusted, and without its content, where it is not", async () => {
    const key = requestKey(runs["stranger"] ?? "", "stranger");
    const shown = await pair.json(pair.callee, ["inbox", "show", key]);
    expect(shown).toMatchObject({
      verified: false,
      code: "PEER_UNKNOWN",
      agent: null,
      signed: null,
      untrusted: { iss: "stranger", aud: "eu-lab" },
      content: null,
    });
    expect(JSON.stringify(shown)).not.toContain("let me in");
  });
});

describe("an inbox", () => {
  let pair: Pair;
  let inbox: string;
  const junk = "junk \u001b[2J\nname";
  beforeAll(async () => {
    pair = await pairInFolder();
    inbox = path.join(fileURLToPath(pair.storeUrl), "eu-lab", "inbox", "support");
    for (const key of ["one", "two"]) await pair.send(key);
    await askAsStranger(pair);
    writeFileSync(path.join(inbox, junk), "junk");
    const large = path.join(inbox, "a".repeat(52));
    writeFileSync(large, "");
    truncateSync(large, 100_000_000);
  });
  afterAll(() => pair.remove());

  test("is as it was after any look, and so is the state, to the last row", async () => {
    const before = [rowsOf(pair), await objectsOf(pair)];
    const { requests } = await lookOf(pair);
    for (const each of requests)
      await pair.succeed(pair.callee, ["inbox", "show", String(fieldOf(each, "key"))]);
    await pair.succeed(pair.callee, ["inbox", "list"]);
    expect(requests).toHaveLength(4);
    expect([rowsOf(pair), await objectsOf(pair)]).toEqual(before);
  });

  test("shows names that no rule makes, escaped, and says what is too large to be read", async () => {
    const { requests, unknown } = await lookOf(pair);
    expect(unknown).toEqual([
      expect.objectContaining({ key: `eu-lab/inbox/support/${junk}`, size: 4 }),
    ]);
    expect(requests).toContainEqual(
      expect.objectContaining({ code: "OBJECT_TOO_LARGE", size: 100_000_000, requestDigest: null }),
    );
    const text = await pair.succeed(pair.callee, ["inbox", "list"]);
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect(text).toContain(String.raw`junk \u{1b}[2J\u{a}name`);
  });

  test("is listed as far as it is asked for, with a word where there is more", async () => {
    const few = await lookOf(pair, ["--limit", "1"]);
    expect([few.requests.length, few.more]).toEqual([1, true]);
    const { stdout, stderr } = await pair.run(pair.callee, ["inbox", "list", "--limit", "1"]);
    expect(stderr).toContain("--limit");
    expect(stdout.split("\n\n")[0]?.split("\n")).toHaveLength(2);
  });

  test("cuts a long prompt for people, and not as JSON", async () => {
    const prompt = "long ".repeat(2000);
    const runId = await pair.send("long", prompt);
    const text = await pair.succeed(pair.callee, ["inbox", "show", runId]);
    expect(text.length).toBeLessThan(6000);
    expect(await pair.json(pair.callee, ["inbox", "show", runId])).toMatchObject({
      content: { prompt: { text: prompt } },
    });
  });

  test.each([
    ["no-name", "2 NAME_INVALID"],
    [`support/inbox/eu-lab/${"a".repeat(52)}`, "2 NAME_INVALID"],
    ["b".repeat(52), "2 RUN_UNKNOWN"],
  ])("show %s fails with %s", async (name, failure) => {
    expect(failed(await pair.run(pair.callee, ["inbox", "show", name]))).toBe(failure);
  });

  test("of a gateway to which nobody has sent anything is empty", async () => {
    expect(await lookOf(pair, [], pair.caller)).toEqual({ requests: [], unknown: [], more: false });
  });
});

/** What a look tells of a request that a pass has taken up and not yet answered. */
async function lookWhileRunning(pair: Pair): Promise<readonly [Look, unknown]> {
  pair.hold();
  const runId = await pair.send("running", "hold");
  const elsewhere = pair.start(pair.callee, ["poll"]);
  await pair.untilStarted(runId);
  const show = ["inbox", "show", runId];
  const looked = await Promise.all([lookOf(pair), pair.json(pair.callee, show)]);
  pair.release();
  expect((await elsewhere.ended).status).toBe(0);
  return looked;
}

interface Look {
  readonly requests: readonly unknown[];
  readonly unknown: readonly unknown[];
  readonly more: unknown;
}

async function lookOf(pair: Pair, args: readonly string[] = [], home = pair.callee): Promise<Look> {
  const look = await pair.json(home, ["inbox", "list", ...args]);
  return {
    requests: itemsOf(fieldOf(look, "requests")),
    unknown: itemsOf(fieldOf(look, "unknown")),
    more: fieldOf(look, "more"),
  };
}

/** Every row of every table of the callee's state. */
function rowsOf(pair: Pair): unknown {
  const database = new DatabaseSync(path.join(pair.callee, "state.db"));
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    expect(tables.length).toBeGreaterThan(5);
    return tables.map(({ name }) => [
      name,
      database.prepare(`SELECT * FROM ${String(name)}`).all(),
    ]);
  } finally {
    database.close();
  }
}

function objectsOf(pair: Pair): Promise<readonly ListEntry[]> {
  return pair.withStore(async (store) => {
    const page = await store.list({ prefix: "", limit: 1000 });
    return page.entries;
  });
}
