import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fieldOf, itemsOf, textOf } from "./support/json.ts";
import { codesIn, requestKey, type Pair } from "./support/pair.ts";
import { meetings, pairInFolder } from "./support/stores.ts";
import { hasTerminal } from "./support/terminal.ts";

async function entriesOf(pair: Pair): Promise<readonly unknown[]> {
  return itemsOf(await pair.json(pair.callee, ["quarantine", "list"]));
}

/** The id of what was refused with this code. */
async function idOf(pair: Pair, code: string): Promise<string> {
  const entries = await entriesOf(pair);
  return textOf(
    entries.find((entry) => fieldOf(entry, "code") === code),
    "id",
  );
}

async function failure(pair: Pair, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await pair.run(pair.callee, ["quarantine", ...args]);
  expect(stdout).toBe("");
  return `${status} ${codesIn(stderr).join(" ")}`;
}

describe.each(meetings)("a stranger's request in quarantine $where", ({ skip, makePair }) => {
  let pair: Pair;
  let stranger: string;
  let runId: string;
  let id: string;

  beforeAll(async () => {
    if (skip) return;
    pair = await makePair();
    stranger = path.join(pair.user.folder, "stranger");
    const card = await pair.succeed(pair.callee, ["card", "export"]);
    await pair.succeed(stranger, ["init", "--gateway", "stranger", "--store", pair.storeUrl]);
    await pair.succeed(stranger, ["peers", "add", "-", "--yes"], { stdin: card });
    const ask = ["send", "eu-lab/echo", "--prompt", "let me in"];
    runId = (await pair.succeed(stranger, ask)).trim();
    await pair.poll();
    id = await idOf(pair, "PEER_UNKNOWN");
  });
  afterAll(() => {
    if (!skip) pair.remove();
  });

  const show = () => pair.json(pair.callee, ["quarantine", "show", id]);

  test.skipIf(skip)("is not released where nobody can be asked: USAGE, exit 2", async () => {
    expect(await failure(pair, ["release", id])).toBe("2 USAGE");
    expect(await show()).toMatchObject({ released: false });
  });

  test.skipIf(skip)(
    "is refused anew while its sender is none: a release vouches for nothing",
    async () => {
      const released = await pair.json(pair.callee, ["quarantine", "release", id, "--yes"]);
      expect(released).toMatchObject({
        id,
        from: "stranger",
        key: requestKey(runId, "stranger"),
        released: true,
        admission: { status: "quarantined", code: "PEER_UNKNOWN" },
      });
      expect(await entriesOf(pair)).toMatchObject([{ id, released: true }]);
      expect((await pair.poll()).status).toBe(0);
      expect(await show()).toMatchObject({ released: false, code: "PEER_UNKNOWN" });
      expect(pair.executions(runId)).toBe(0);
    },
  );

  test.skipIf(skip)("runs once, and is answered, once its sender is a peer", async () => {
    const card = await pair.succeed(stranger, ["card", "export"]);
    const add = ["peers", "add", "-", "--agent", "echo", "--yes"];
    await pair.succeed(pair.callee, add, { stdin: card });
    expect((await pair.poll()).status).toBe(0);
    expect(pair.executions(runId)).toBe(0);
    const release = ["quarantine", "release", id, "--yes"];
    expect(await pair.json(pair.callee, release)).toMatchObject({
      admission: { status: "admitted", code: null },
    });
    // Told twice, it is still released once.
    await pair.succeed(pair.callee, release);
    await Promise.all([pair.poll(), pair.poll()]);
    await pair.poll();
    expect(pair.executions(runId)).toBe(1);
    expect(await entriesOf(pair)).toEqual([]);
    expect(await pair.succeed(stranger, ["runs", "watch", runId, "--timeout", "20s"])).toBe(
      "LET ME IN",
    );
  });
});

describe("what was refused", () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairInFolder();
    const inbox = path.join(fileURLToPath(pair.storeUrl), "eu-lab", "inbox", "support");
    await pair.send("kept");
    writeFileSync(path.join(inbox, "a".repeat(52)), "no envelope");
    writeFileSync(path.join(inbox, "\u001b[2J"), "junk");
    await pair.poll();
  });
  afterAll(() => pair.remove());

  test("and was left in the store cannot be released: QUARANTINE_NOT_RELEASABLE, exit 2", async () => {
    const id = await idOf(pair, "KEY_NAME_UNKNOWN");
    expect(await failure(pair, ["release", id, "--yes"])).toBe("2 QUARANTINE_NOT_RELEASABLE");
  });

  test("and is not there is QUARANTINE_UNKNOWN, exit 2", async () => {
    for (const verb of ["release", "discard"])
      expect(await failure(pair, [verb, "aaaa", "--yes"])).toBe("2 QUARANTINE_UNKNOWN");
  });

  test.skipIf(!hasTerminal)(
    "is shown, escaped, before it is asked about, and a no changes nothing",
    async () => {
      for (const [verb, code] of [
        ["release", "COSE_MALFORMED"],
        ["discard", "KEY_NAME_UNKNOWN"],
      ] as const) {
        const id = await idOf(pair, code);
        const args = ["quarantine", verb, id, "--home", pair.callee];
        const asking = pair.user.atTerminal(args);
        await asking.sees("[y/N]");
        expect(asking.seen()).toContain(code);
        expect(asking.seen()).not.toContain("\u001b[2J");
        asking.types("n\n");
        expect(await asking.ended).toBe(2);
        expect(await pair.json(pair.callee, ["quarantine", "show", id])).toMatchObject({
          code,
          released: false,
        });
      }
    },
  );

  test("is gone once it is discarded, released or not", async () => {
    const id = await idOf(pair, "COSE_MALFORMED");
    await pair.succeed(pair.callee, ["quarantine", "release", id, "--yes"]);
    expect(await failure(pair, ["discard", id])).toBe("2 USAGE");
    const discarded = await pair.json(pair.callee, ["quarantine", "discard", id, "--yes"]);
    expect(discarded).toMatchObject({ id, code: "COSE_MALFORMED", released: true });
    expect(await idOf(pair, "COSE_MALFORMED")).toBe("");
    expect(await failure(pair, ["discard", id, "--yes"])).toBe("2 QUARANTINE_UNKNOWN");
    expect((await pair.poll()).status).toBe(0);
    expect(await idOf(pair, "COSE_MALFORMED")).toBe("");
  });
});
