import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { close, listen } from "../support/listen.ts";
import { fieldOf, itemsOf, parsed } from "./support/json.ts";
import { codesIn, type Pair } from "./support/pair.ts";
import { pairInFolder } from "./support/stores.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await pairInFolder();
});
afterAll(() => pair.remove());

const agents = (...args: readonly string[]): Promise<string> =>
  pair.succeed(pair.callee, ["agents", ...args]);

async function failure(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await pair.run(pair.callee, ["agents", ...args]);
  expect(stdout).toBe("");
  return `${status} ${codesIn(stderr).join(" ")}`;
}

async function listed(name: string): Promise<unknown> {
  const all = itemsOf(parsed(await agents("list", "--json")));
  return all.find((agent) => fieldOf(agent, "name") === name);
}

/** A file of the user, in the folder that commands are started in. */
function userFile(name: string, content: string, mode = 0o600): string {
  const file = path.join(pair.user.folder, name);
  writeFileSync(file, content, { mode });
  return file;
}

describe("agents add", () => {
  test("takes a URL with a file of headers, kept by its absolute path, and none of its secrets", async () => {
    const headersFile = userFile("url.headers", "Authorization: hunter2\n");
    const http = "https://agents.example/triage?x=y";
    const args = ["--http", http, "--headers-file", "url.headers", "--output", "jsonl"];
    const agent = { http, headersFile, output: "jsonl" };
    const stdout = await agents("add", "url", ...args, "--json");
    expect(parsed(stdout)).toEqual({ name: "url", ...agent });
    expect(await listed("url")).toEqual({
      name: "url",
      kind: "http",
      ...agent,
      onCrash: "report",
      maxRun: "1h",
      description: null,
    });
    const config = readFileSync(path.join(pair.callee, "config.json"), "utf8");
    expect(fieldOf(fieldOf(parsed(config), "agents"), "url")).toEqual(agent);
    expect(config).not.toContain("hunter2");
  });

  test("takes a module, kept by its absolute path, and does not run it", async () => {
    const module = userFile("lookup.mjs", "throw new Error('it was run')");
    await agents("add", "module", "--module", "./lookup.mjs", "--max-run", "5s");
    expect(await listed("module")).toEqual({
      name: "module",
      kind: "module",
      module,
      onCrash: "report",
      maxRun: "5s",
      description: null,
    });
  });

  test("shows each with its kind and target in a table", async () => {
    userFile("shown.mjs", "");
    await agents("add", "shown-exec", "--exec", "df -h");
    await agents("add", "shown-http", "--http", "http://127.0.0.1:1/");
    await agents("add", "shown-module", "--module", "shown.mjs");
    const rows = (await agents("list")).split("\n").map((row) => row.split(/ {2,}/).slice(0, 3));
    expect(rows).toEqual(
      expect.arrayContaining([
        ["NAME", "KIND", "TARGET"],
        ["shown-exec", "exec", '["df","-h"]'],
        ["shown-http", "http", "http://127.0.0.1:1/"],
        ["shown-module", "module", path.join(pair.user.folder, "shown.mjs")],
      ]),
    );
  });

  test("wants exactly one kind, and only what belongs to it: USAGE, exit 2", async () => {
    const wrong = [
      [],
      ["--exec", "true", "--http", "http://127.0.0.1:1/"],
      ["--module", "m.mjs", "--exec", "true"],
      ["--exec", "true", "--headers-file", "h"],
      ["--module", "m.mjs", "--output", "text"],
    ];
    for (const args of wrong)
      expect(await failure("add", "wrong", ...args), args.join(" ")).toBe("2 USAGE");
    expect(await listed("wrong")).toBeUndefined();
  });

  test("refuses what cannot be used, and adds nothing: exit 2", async () => {
    mkdirSync(path.join(pair.user.folder, "folder"));
    const open = userFile("open.mjs", "");
    chmodSync(open, 0o666);
    userFile("read.headers", "Authorization: hunter2\n", 0o644);
    userFile("bad.headers", "Authorization hunter2\n");
    const url = ["--http", "https://agents.example/"];
    const wrong: readonly (readonly [string, readonly string[]])[] = [
      ["2 CONFIG_INVALID", ["--module", "missing.mjs"]],
      ["2 CONFIG_INVALID", ["--module", "folder"]],
      ["2 HOME_UNSAFE", ["--module", "open.mjs"]],
      ["2 CONFIG_INVALID", [...url, "--headers-file", "missing.headers"]],
      ["2 CONFIG_INVALID", [...url, "--headers-file", "bad.headers"]],
      ["2 HOME_UNSAFE", [...url, "--headers-file", "read.headers"]],
      ["2 CONFIG_INVALID", ["--http", "agents.example/x"]],
      ["2 CONFIG_INVALID", ["--http", "https://ann:hunter2@agents.example/"]],
    ];
    for (const [expected, args] of wrong) {
      const ended = await pair.run(pair.callee, ["agents", "add", "wrong", ...args]);
      expect(`${ended.status} ${codesIn(ended.stderr).join(" ")}`, args.join(" ")).toBe(expected);
      expect(ended.stderr).not.toContain("hunter2");
    }
    expect(await listed("wrong")).toBeUndefined();
  });
});

describe("agents remove", () => {
  test("of an agent that is not there: AGENT_UNKNOWN, exit 2", async () => {
    expect(await failure("remove", "nobody", "--yes")).toBe("2 AGENT_UNKNOWN");
    expect(await failure("remove", "No Name", "--yes")).toBe("2 NAME_INVALID");
  });

  test("without --yes and a terminal removes nothing: USAGE, exit 2", async () => {
    expect(await failure("remove", "spare")).toBe("2 USAGE");
    expect(await listed("spare")).toMatchObject({ name: "spare" });
  });

  test("tells who is still granted it; what waits for it is refused, until there is another", async () => {
    const runId = await pair.send("waits");
    const { stdout, stderr } = await pair.run(pair.callee, [
      "agents",
      "remove",
      "echo",
      "--yes",
      "--json",
    ]);
    expect(parsed(stdout)).toEqual({ name: "echo", grantedTo: ["support"] });
    expect(stderr).toContain("support");
    expect(await listed("echo")).toBeUndefined();
    expect(await pair.poll()).toMatchObject({ status: 0 });
    expect(pair.executions(runId)).toBe(0);
    const call = [
      "call",
      "eu-lab/echo",
      "--prompt",
      "waits",
      "--idempotency-key",
      "waits",
      "--json",
    ];
    const answer = await pair.run(pair.caller, call);
    expect(answer.status).toBe(1);
    expect(parsed(answer.stdout.trim())).toMatchObject({
      payload: { status: "refused", error: { code: "NOT_GRANTED" } },
    });
    expect(parsed(await agents("remove", "spare", "--yes", "--json"))).toEqual({
      name: "spare",
      grantedTo: [],
    });
  });
});

describe("an agent that postern poll asks", () => {
  let server: Server;
  let origin: string;
  const seen: (string | undefined)[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      void text(request).then((document) => {
        response.write("URL heard ");
        response.end(String(fieldOf(fieldOf(parsed(document), "prompt"), "text")));
      });
    });
    origin = await listen(server);
  });
  afterAll(() => close(server));

  /** The answer to a prompt, with the agent that the arguments say. */
  async function answerOf(prompt: string, args: readonly string[], env = {}): Promise<string> {
    if ((await listed("echo")) !== undefined) await agents("remove", "echo", "--yes");
    await agents("add", "echo", ...args);
    await pair.send(prompt);
    const polled = await pair.run(pair.callee, ["poll"], { env });
    expect(polled).toMatchObject({ status: 0, stdout: "", stderr: "" });
    const call = ["call", "eu-lab/echo", "--prompt", prompt, "--idempotency-key", prompt];
    return pair.succeed(pair.caller, call);
  }

  test("at a URL answers, and gets the headers of its file", async () => {
    userFile("agent.headers", "Authorization: Bearer b\n");
    const args = ["--http", `${origin}/agent`, "--headers-file", "agent.headers"];
    expect(await answerOf("one", args)).toBe("URL heard one");
    expect(seen).toEqual(["Bearer b"]);
  });

  test("at a URL is asked straight, whatever proxy the environment names", async () => {
    const proxy = "http://127.0.0.1:1";
    const env = { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: proxy, http_proxy: proxy };
    expect(await answerOf("two", ["--http", origin], env)).toBe("URL heard two");
  });

  test("in a module answers", async () => {
    userFile(
      "agent.mjs",
      `export default async function* ({ prompt }) {
        yield { event: "phaseEnd", payload: { phase: "reading" } };
        yield { event: "textDelta", payload: { text: "module heard " + prompt.text } };
      }`,
    );
    expect(await answerOf("three", ["--module", "agent.mjs"])).toBe("module heard three");
  });
});
