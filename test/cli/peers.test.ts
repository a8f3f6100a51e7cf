import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fieldOf, itemsOf, parsed } from "./support/json.ts";
import { codesIn, type Pair } from "./support/pair.ts";
import { pairInFolder } from "./support/stores.ts";
import { hasTerminal, type AtTerminal } from "./support/terminal.ts";

let pair: Pair;
let trust: string;
let fresh: string;
beforeAll(async () => {
  pair = await pairInFolder();
  trust = path.join(pair.callee, "trust.json");
  fresh = readFileSync(trust, "utf8");
});
beforeEach(() => writeFileSync(trust, fresh));
afterAll(() => pair.remove());

/** What the callee's trust document grants the one who asks. */
function granted(): unknown {
  const peers = fieldOf(parsed(readFileSync(trust, "utf8")), "peers");
  return fieldOf(fieldOf(peers, "support"), "grants");
}

async function failure(args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await pair.run(pair.callee, args);
  expect(stdout).toBe("");
  return `${status} ${codesIn(stderr).join(" ")}`;
}

function asked(args: readonly string[]): AtTerminal {
  return pair.user.atTerminal([...args, "--home", pair.callee]);
}

describe("peers grant", () => {
  const grant = ["peers", "grant", "support"];

  test("adds what is named, keeps the rest, and shows both on stderr", async () => {
    const more = ["--agent", "spare", "--tenant", "blue", "--max-concurrent-runs", "3"];
    const { status, stdout, stderr } = await pair.run(pair.callee, [
      ...grant,
      ...more,
      "--yes",
      "--json",
    ]);
    expect(status).toBe(0);
    expect(stderr).toMatch(/agents: echo -> echo, spare\n/);
    expect(stderr).toMatch(/tenants: any -> blue\n/);
    expect(stderr).toMatch(/maxConcurrentRuns: 2 -> 3\n/);
    expect(stderr).not.toMatch(/tools|kinds/);
    const grants = {
      kinds: ["prompt", "toolCall"],
      agents: ["echo", "spare"],
      tools: ["usage"],
      tenants: ["blue"],
      maxConcurrentRuns: 3,
    };
    expect(granted()).toEqual(grants);
    expect(parsed(stdout)).toMatchObject({ name: "support", grants });
  });

  test("raises the version, by which a document of before is known", async () => {
    const version = (): unknown => fieldOf(parsed(readFileSync(trust, "utf8")), "version");
    const before = Number(version());
    await pair.succeed(pair.callee, [...grant, "--agent", "spare", "--yes"]);
    expect(version()).toBe(before + 1);
  });

  test("changes nothing where all is granted already", async () => {
    const again = [...grant, "--agent", "echo", "--tool", "usage", "--json"];
    expect(parsed(await pair.succeed(pair.callee, again))).toMatchObject({ name: "support" });
    expect(readFileSync(trust, "utf8")).toBe(fresh);
  });

  test("without anything to grant, or with what cannot be granted: exit 2, nothing changed", async () => {
    const wrong: readonly (readonly [string, readonly string[]])[] = [
      ["2 USAGE", []],
      ["2 USAGE", ["--tool", ""]],
      ["2 USAGE", ["--tenant", "x".repeat(129)]],
      ["2 USAGE", ["--kind", "anything"]],
      ["2 USAGE", ["--max-concurrent-runs", "0"]],
      ["2 USAGE", ["--max-requests-per-minute", "9007199254740993"]],
      ["2 USAGE", ["--max-request-bytes", "1048577"]],
      ["2 NAME_INVALID", ["--agent", "No Agent"]],
    ];
    for (const [expected, args] of wrong)
      expect(await failure([...grant, ...args, "--yes"]), args.join(" ")).toBe(expected);
    expect(readFileSync(trust, "utf8")).toBe(fresh);
  });

  test("where nobody can be asked: USAGE, exit 2, nothing changed, and the change shown", async () => {
    const { status, stderr } = await pair.run(pair.callee, [...grant, "--agent", "spare"]);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 2, codes: ["USAGE"] });
    expect(stderr).toContain("echo -> echo, spare");
    expect(readFileSync(trust, "utf8")).toBe(fresh);
  });

  test.skipIf(!hasTerminal)("asks at a terminal: only a yes changes anything", async () => {
    for (const [answer, status] of [
      ["n", 2],
      ["", 2],
      ["y", 0],
    ] as const) {
      const granting = asked([...grant, "--agent", "spare"]);
      await granting.sees("echo -> echo, spare");
      await granting.sees("[y/N]");
      granting.types(`${answer}\n`);
      expect(await granting.ended).toBe(status);
      expect(readFileSync(trust, "utf8") === fresh, `after "${answer}"`).toBe(status !== 0);
    }
  });

  test.skipIf(!hasTerminal)(
    "does not make a change whose beginnings are others than were shown: STATE_BUSY, exit 75",
    async () => {
      const granting = asked([...grant, "--agent", "spare"]);
      await granting.sees("[y/N]");
      const meanwhile = fresh.replace('"echo"', '"echo", "other"');
      writeFileSync(trust, meanwhile);
      granting.types("y\n");
      expect(await granting.ended).toBe(75);
      expect(granting.seen()).toContain("STATE_BUSY");
      expect(readFileSync(trust, "utf8")).toBe(meanwhile);
    },
  );
});

describe("peers add", () => {
  test("grants by the same flags as peers grant", async () => {
    const card = await pair.succeed(pair.caller, ["card", "export"]);
    await pair.succeed(pair.callee, ["peers", "remove", "support", "--yes"]);
    const all = [
      ["--agent", "echo", "--tool", "usage", "--kind", "toolCall", "--tenant", "blue"],
      ["--max-request-bytes", "1000", "--max-requests-per-minute", "5"],
    ].flat();
    await pair.succeed(pair.callee, ["peers", "add", "-", ...all, "--yes"], { stdin: card });
    expect(granted()).toEqual({
      kinds: ["toolCall"],
      agents: ["echo"],
      tools: ["usage"],
      tenants: ["blue"],
      maxRequestBytes: 1000,
      maxRequestsPerMinute: 5,
    });
    const [peer] = itemsOf(await pair.json(pair.callee, ["peers", "list"]));
    expect(fieldOf(peer, "grants")).toEqual(granted());
    const listed = await pair.succeed(pair.callee, ["peers", "list"]);
    expect(listed).toContain("tenant blue, 1000 bytes a request, 5 a minute");
  });
});

describe("peers remove", () => {
  test("stops the runs of the peer that are open, and what waits goes to quarantine", async () => {
    pair.hold();
    const running = await pair.send("running", "hold");
    const poll = pair.start(pair.callee, ["poll", "--max-runs", "1"]);
    await pair.untilStarted(running);
    const waiting = await pair.send("waiting");
    const removed = await pair.json(pair.callee, ["peers", "remove", "support", "--yes"]);
    expect(removed).toMatchObject({ name: "support", grants: { agents: ["echo"] } });
    expect(await poll.ended).toMatchObject({ status: 0 });
    expect(await pair.json(pair.callee, ["runs", "show", running])).toMatchObject({
      runs: [{ status: "interrupted", code: "NOT_GRANTED" }],
    });
    await pair.poll();
    expect(pair.executions(waiting)).toBe(0);
    expect(await pair.json(pair.callee, ["quarantine", "list"])).toEqual([
      expect.objectContaining({ code: "PEER_UNKNOWN", key: `eu-lab/inbox/support/${waiting}` }),
    ]);
    expect(await pair.json(pair.callee, ["peers", "list"])).toEqual([]);
  });

  test("where nobody can be asked: USAGE, exit 2, nothing changed", async () => {
    expect(await failure(["peers", "remove", "support"])).toBe("2 USAGE");
    expect(readFileSync(trust, "utf8")).toBe(fresh);
  });

  test.skipIf(!hasTerminal)("asks at a terminal", async () => {
    const removing = asked(["peers", "remove", "support"]);
    await removing.sees("[y/N]");
    removing.types("yes\n");
    expect(await removing.ended).toBe(0);
    expect(granted()).toBeUndefined();
  });
});

describe("a peer that is not there", () => {
  test("is wrong usage for every command about one: PEER_MISSING, exit 2", async () => {
    for (const verb of ["show", "grant", "remove"]) {
      const flags = verb === "grant" ? ["--agent", "echo"] : [];
      expect(await failure(["peers", verb, "nobody", ...flags])).toBe("2 PEER_MISSING");
      expect(await failure(["peers", verb, "No Body", ...flags])).toBe("2 NAME_INVALID");
    }
  });
});
