import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { User, type CliOptions, type Ended } from "./support/cli.ts";
import { fieldOf, itemsOf, parsed } from "./support/json.ts";
import { commands } from "./support/manifest.ts";
import { codesIn } from "./support/pair.ts";

let user: User;
let home: string;
let storeUrl: string;

beforeAll(async () => {
  user = new User();
  home = path.join(user.folder, "support");
  storeUrl = pathToFileURL(path.join(user.folder, "store")).href;
  await succeed(["init", "--gateway", "support", "--store", storeUrl, "--realm", "staging"]);
});
afterAll(() => user.remove());

function run(args: readonly string[], options?: CliOptions, at = home): Promise<Ended> {
  return user.run([...args, "--home", at], options);
}

async function succeed(args: readonly string[], options?: CliOptions, at = home): Promise<string> {
  const { status, stdout, stderr } = await run(args, options, at);
  expect(`${status} ${stderr}`, args.join(" ")).toMatch(/^0 /);
  return stdout;
}

async function failure(args: readonly string[], options?: CliOptions, at = home): Promise<string> {
  const { status, stdout, stderr } = await run(args, options, at);
  expect(stdout).toBe("");
  return `${status} ${codesIn(stderr).join(" ")}`;
}

/** A home of its own beside the first, whose files a test may spoil. */
async function otherHome(name: string, realm = "staging"): Promise<string> {
  const other = path.join(user.folder, name);
  await succeed(["init", "--gateway", name, "--store", storeUrl, "--realm", realm], {}, other);
  return other;
}

describe("init", () => {
  test("makes a home for its owner alone: keys 0600, both documents with a schema that is there", () => {
    expect(statSync(home).mode & 0o777).toBe(0o700);
    for (const key of readdirSync(path.join(home, "keys"))) {
      expect(statSync(path.join(home, "keys", key)).mode & 0o777).toBe(0o600);
    }
    for (const name of ["config.json", "trust.json"]) {
      const schema = String(
        fieldOf(parsed(readFileSync(path.join(home, name), "utf8")), "$schema"),
      );
      expect(existsSync(path.join(home, schema))).toBe(true);
    }
  });

  test("overwrites nothing: HOME_EXISTS, exit 2", async () => {
    const before = readFileSync(path.join(home, "config.json"), "utf8");
    expect(await failure(["init", "--gateway", "another", "--store", storeUrl])).toBe(
      "2 HOME_EXISTS",
    );
    expect(readFileSync(path.join(home, "config.json"), "utf8")).toBe(before);
  });

  test("makes no gateway anew whose name was served over this store: STATE_ELSEWHERE, exit 2", async () => {
    const first = await otherHome("served");
    await succeed(["agents", "add", "any", "--exec", "true"], {}, first);
    const card = await succeed(["card", "export"]);
    await succeed(["peers", "add", "-", "--agent", "any", "--yes"], { stdin: card }, first);
    const itsCard = await succeed(["card", "export"], {}, first);
    await succeed(["peers", "add", "-", "--yes"], { stdin: itsCard });
    await succeed(["send", "served/any", "--prompt", "x"]);
    await succeed(["poll"], {}, first);
    const second = path.join(user.folder, "served-again");
    const init = ["init", "--gateway", "served", "--store", storeUrl, "--realm", "staging"];
    expect(await failure(init, {}, second)).toBe("2 STATE_ELSEWHERE");
    expect(existsSync(second)).toBe(false);
  });

  test("refuses bad names and bad store URLs: exit 2, and no home", async () => {
    const other = path.join(user.folder, "bad");
    const withName = ["init", "--gateway", "No_Name", "--store", storeUrl];
    expect(await failure(withName, {}, other)).toBe("2 NAME_INVALID");
    const withStore = ["init", "--gateway", "fine", "--store", "file:/x"];
    expect(await failure(withStore, {}, other)).toBe("2 STORE_URL_INVALID");
    const withSecret = ["init", "--gateway", "fine", "--store", "s3://key:hunter2@bucket"];
    const { status, stderr } = await run(withSecret, {}, other);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 2, codes: ["STORE_URL_INVALID"] });
    expect(stderr).not.toContain("hunter2");
    const file = pathToFileURL(path.join(home, "config.json")).href;
    const inFile = ["init", "--gateway", "fine", "--store", file];
    expect(await failure(inFile, {}, other)).toBe("3 STORE_MISSING");
    expect(existsSync(other)).toBe(false);
  });
});

describe("card export", () => {
  test("prints one line; its version rises; --out writes it for everybody to read, and overwrites nothing", async () => {
    const first = fieldOf(parsed(await succeed(["card", "export", "--json"])), "version");
    const file = path.join(user.folder, "support.card");
    expect(await succeed(["card", "export", "--out", file])).toBe("");
    expect(readFileSync(file, "utf8")).toMatch(/^postern1[a-z2-7]+\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(await failure(["card", "export", "--out", file])).toBe("2 USAGE");
    const later = fieldOf(parsed(await succeed(["card", "export", "--json"])), "version");
    expect(later).toBe(Number(first) + 3);
  });
});

describe("peers", () => {
  let friend: string;
  let card: string;
  beforeAll(async () => {
    friend = await otherHome("friend");
    card = (await succeed(["card", "export"], {}, friend)).trim();
  });

  test("without --yes and a terminal nothing is added: USAGE, exit 2, the fingerprint shown", async () => {
    const { status, stdout, stderr } = await run(["peers", "add", card]);
    expect({ status, stdout, codes: codesIn(stderr) }).toEqual({
      status: 2,
      stdout: "",
      codes: ["USAGE"],
    });
    expect(stderr).toMatch(
      /friend in realm staging, fingerprint\n {2}([a-z2-7]{4}-){12}[a-z2-7]{4}\n/,
    );
    expect(
      itemsOf(parsed(await succeed(["peers", "list", "--json"]))).map((peer) =>
        fieldOf(peer, "name"),
      ),
    ).not.toContain("friend");
  });

  test("a file, the text with line breaks, and stdin are the same card; only what flags name is granted", async () => {
    const file = path.join(user.folder, "friend.card");
    writeFileSync(file, `${card.slice(0, 40)}\n${card.slice(40)}\n`);
    await succeed(["peers", "add", file, "--agent", "review", "--agent", "lookup", "--yes"]);
    expect(parsed(await succeed(["peers", "show", "friend", "--json"]))).toMatchObject({
      name: "friend",
      keys: [
        { fingerprint: expect.stringMatching(/^([a-z2-7]{4}-){12}[a-z2-7]{4}$/), use: "gateway" },
      ],
      grants: { kinds: ["prompt"], agents: ["review", "lookup"], tools: [] },
    });
    expect(await failure(["peers", "add", card, "--yes"])).toMatch(/ PEER_EXISTS$/);
    const other = await otherHome("third");
    await succeed(["peers", "add", card, "--yes"], {}, other);
    const [peer] = itemsOf(parsed(await succeed(["peers", "list", "--json"], {}, other)));
    expect(peer).toMatchObject({ name: "friend", grants: { kinds: [], agents: [] } });
  });

  test("--tool grants tool calls", async () => {
    const other = await otherHome("tools");
    await succeed(
      ["peers", "add", "-", "--agent", "a", "--tool", "t", "--yes"],
      { stdin: card },
      other,
    );
    expect(parsed(await succeed(["peers", "show", "friend", "--json"], {}, other))).toMatchObject({
      grants: { kinds: ["prompt", "toolCall"], agents: ["a"], tools: ["t"] },
    });
  });

  test("refuses another realm, its own card, a changed card and what is no card", async () => {
    const foreign = await otherHome("foreign", "prod");
    const foreignCard = (await succeed(["card", "export"], {}, foreign)).trim();
    expect(await failureOfAdd(foreignCard)).toBe("4 CARD_INVALID");
    const own = (await succeed(["card", "export"])).trim();
    expect(await failureOfAdd(own)).toBe("4 CARD_INVALID");
    const last = card.at(-1) === "a" ? "q" : "a";
    expect(await failureOfAdd(card.slice(0, -1) + last)).toBe("4 CARD_INVALID");
    expect(await failureOfAdd("no-such-file.card")).toBe("2 USAGE");
    expect(await failure(["peers", "show", "nobody"])).toBe("2 PEER_MISSING");
  });

  /** What it notes besides is a name and a fingerprint, without a code. */
  async function failureOfAdd(input: string): Promise<string> {
    return failure(["peers", "add", input, "--yes"]);
  }
});

describe("agents", () => {
  test("are written as words, not read by a shell, and listed", async () => {
    const exec = "node 'my agent.js' --name \"two words\"";
    await succeed([
      "agents",
      "add",
      "worded",
      "--exec",
      exec,
      "--output",
      "jsonl",
      "--max-run",
      "10m",
      "--on-crash",
      "retry",
    ]);
    const agents = itemsOf(parsed(await succeed(["agents", "list", "--json"])));
    expect(agents).toContainEqual({
      name: "worded",
      kind: "exec",
      exec: ["node", "my agent.js", "--name", "two words"],
      output: "jsonl",
      onCrash: "retry",
      maxRun: "10m",
      description: null,
    });
  });

  test("refuse a name that is taken, a shell's operators, and a bad name: exit 2", async () => {
    await succeed(["agents", "add", "once", "--exec", "true"]);
    expect(await failure(["agents", "add", "once", "--exec", "true"])).toBe("2 AGENT_EXISTS");
    expect(await failure(["agents", "add", "piped", "--exec", "a | b"])).toBe("2 USAGE");
    expect(await failure(["agents", "add", "Bad Name", "--exec", "true"])).toBe("2 NAME_INVALID");
    expect(await failure(["agents", "add", "odd", "--exec", "true", "--max-run", "1500ms"])).toBe(
      "2 USAGE",
    );
  });
});

describe("bad input", () => {
  test("no home: HOME_MISSING, exit 2, for every command that needs one", async () => {
    const nowhere = path.join(user.folder, "nowhere");
    const needy = [
      ["card", "export"],
      ["peers", "list"],
      ["agents", "list"],
      ["send", "a/b", "--prompt", "x"],
      ["call", "a/b", "--prompt", "x"],
      ["poll"],
      ["runs", "list"],
      ["runs", "watch", "a".repeat(52)],
      ["quarantine", "list"],
      ["state", "recover", "--yes"],
    ];
    const failures = await Promise.all(needy.map((command) => failure(command, {}, nowhere)));
    expect(new Set(failures)).toEqual(new Set(["2 HOME_MISSING"]));
    expect(existsSync(nowhere)).toBe(false);
  });

  test("POSTERN_HOME names the home as --home does", async () => {
    const { status, stdout } = await user.run(["peers", "list", "--json"], {
      env: { POSTERN_HOME: home },
    });
    expect({ status, isList: Array.isArray(parsed(stdout)) }).toEqual({ status: 0, isList: true });
  });

  test("an empty --home is a mistake, and an empty POSTERN_HOME is none", async () => {
    expect(await failure(["peers", "list"], {}, "")).toBe("2 USAGE");
    const { status, stderr } = await user.run(["peers", "list"], { env: { POSTERN_HOME: "" } });
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 2, codes: ["HOME_MISSING"] });
  });

  test("a malformed config: CONFIG_INVALID, exit 2", async () => {
    const other = await otherHome("malformed");
    const config = path.join(other, "config.json");
    const good = readFileSync(config, "utf8");
    for (const bad of ["{", good.replace('"v": 1', '"v": 2'), good.replace('"realm"', '"relam"')]) {
      writeFileSync(config, bad);
      expect(await failure(["runs", "list"], {}, other)).toBe("2 CONFIG_INVALID");
    }
  });

  test("a trust document with an unknown field: TRUST_INVALID, exit 4, and nothing runs", async () => {
    const other = await otherHome("misspelt");
    const trust = path.join(other, "trust.json");
    writeFileSync(trust, readFileSync(trust, "utf8").replace('"peers"', '"pears": {}, "peers"'));
    expect(await failure(["peers", "list"], {}, other)).toBe("4 TRUST_INVALID");
    expect(await failure(["send", "friend/x", "--prompt", "x"], {}, other)).toBe("4 TRUST_INVALID");
  });

  test("requests that cannot be: exit 2 with the reason, and nothing is kept", async () => {
    const prompt = ["--prompt", "a"];
    const sends: readonly (readonly [string, readonly string[]])[] = [
      ["2 USAGE", ["friend/x"]],
      ["2 USAGE", ["friend/x", ...prompt, "--tool", "b"]],
      ["2 USAGE", ["friend/x", ...prompt, "--input", "{}"]],
      ["2 USAGE", ["friend/x", "--tool", "t", "--input", "{"]],
      ["2 USAGE", ["friend/x", ...prompt, "--ttl", "30d"]],
      ["2 USAGE", ["friend/x", ...prompt, "--deadline", "soon"]],
      ["2 USAGE", ["friend/x", "--prompt-file", "no-such-file"]],
      ["2 REQUEST_INVALID", ["friend/x", ...prompt, "--idempotency-key", ""]],
      ["2 NAME_INVALID", ["friend/x", ...prompt, "--continue", "x"]],
      ["2 TARGET_UNKNOWN", ["nowhere", ...prompt]],
      ["4 PEER_UNKNOWN", ["stranger/x", ...prompt]],
    ];
    for (const [expected, args] of sends)
      expect(await failure(["send", ...args]), args.join(" ")).toBe(expected);
    const tooLong = { stdin: "x".repeat(1_100_000) };
    expect(await failure(["send", "friend/x", "--prompt-file", "-"], tooLong)).toBe("2 USAGE");
    const tooLarge = { stdin: "x".repeat(1024 * 1024) };
    expect(await failure(["send", "friend/x", "--prompt-file", "-"], tooLarge)).toBe(
      "2 REQUEST_INVALID",
    );
    const runs = itemsOf(parsed(await succeed(["runs", "list", "--json"])));
    expect(runs.filter((each) => fieldOf(each, "to") === "friend")).toEqual([]);
  });

  test("runs and entries that are not there: exit 2 with a code of their own", async () => {
    for (const verb of ["watch", "show", "cancel"]) {
      expect(await failure(["runs", verb, "a".repeat(52)])).toBe("2 RUN_UNKNOWN");
    }
    expect(await failure(["runs", "show", "short"])).toBe("2 NAME_INVALID");
    expect(await failure(["quarantine", "show", "nothing"])).toBe("2 QUARANTINE_UNKNOWN");
  });
});

describe("every command", () => {
  test("has a summary and examples in its help", () => {
    const all = commands();
    expect(all.length).toBeGreaterThan(15);
    const without = all.filter(({ summary, examples }) => summary === "" || examples.length === 0);
    expect(without).toEqual([]);
  });
});
