import { chmodSync, copyFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fieldOf, itemsOf, parsed, textOf } from "./support/json.ts";
import { commands } from "./support/manifest.ts";
import type { Pair } from "./support/pair.ts";
import { shapeOf } from "./support/shape.ts";
import { pairInFolder } from "./support/stores.ts";

/** An agent that says everything that an agent may. */
const talker = `
  const say = (event, payload) => console.log(JSON.stringify({ event, payload }));
  say("toolCall", { id: "1", name: "df", input: { path: "/" } });
  say("toolResult", { id: "1", output: "82 %", isError: false });
  say("textDelta", { text: "full" });
  say("tokenUsage", { inputTokens: 1, outputTokens: 2, totalTokens: 3, model: "m" });
  say("error", { code: "E", message: "m", retryable: false });
  say("phaseEnd", { phase: "p" });
  console.log(JSON.stringify({ result: { fullest: "/var" } }));`;

/** What the rows below find: one run of every kind and state, and one thing refused. */
interface World {
  readonly pair: Pair;
  /** Runs that support asked of eu-lab. */
  readonly ended: string;
  readonly waiting: string;
  readonly card: string;
}

/**
 * How each command is brought to say all that it can: one row for each that takes `--json`, in the order in which
 * they are run. A row returns what was printed; for several cases, a list of them or a field for each.
 */
const outputs: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  init: ({ pair }) => {
    const args = ["init", "--gateway", "third", "--store", pair.storeUrl];
    return pair.json(path.join(pair.user.folder, "third"), args);
  },
  "card export": ({ pair }) => pair.json(pair.caller, ["card", "export"]),
  "peers add": async ({ pair, card }) => {
    const add = [
      "peers",
      "add",
      "-",
      "--agent",
      "a",
      "--tool",
      "t",
      "--tenant",
      "x",
      "--yes",
      "--json",
    ];
    return parsed(await pair.succeed(path.join(pair.user.folder, "third"), add, { stdin: card }));
  },
  "peers grant": ({ pair }) => {
    const numbers = ["--max-request-bytes", "--max-concurrent-runs", "--max-requests-per-minute"];
    const all = numbers.flatMap((flag) => [flag, "1000"]);
    return pair.json(pair.callee, ["peers", "grant", "support", ...all, "--yes"]);
  },
  "peers list": ({ pair }) => pair.json(pair.callee, ["peers", "list"]),
  "peers show": ({ pair }) => pair.json(pair.callee, ["peers", "show", "support"]),
  "peers remove": ({ pair }) =>
    pair.json(path.join(pair.user.folder, "third"), ["peers", "remove", "support", "--yes"]),
  "agents add": async ({ pair }) => {
    const settings = ["--on-crash", "retry", "--max-run", "1m", "--description", "d"];
    const [headers, module] = ["headers", "agent.mjs"].map((name) =>
      path.join(pair.user.folder, name),
    );
    writeFileSync(headers ?? "", "authorization: Bearer x\n", { mode: 0o600 });
    writeFileSync(module ?? "", "export default async function* () {}\n", { mode: 0o600 });
    const add = (name: string, ...kind: string[]) =>
      pair.json(pair.callee, ["agents", "add", name, ...kind, ...settings]);
    return {
      exec: await add("new", "--exec", "true", "--output", "text"),
      http: await add("far", "--http", "http://127.0.0.1:9/", "--headers-file", headers ?? ""),
      module: await add("near", "--module", module ?? ""),
    };
  },
  "agents list": ({ pair }) => pair.json(pair.callee, ["agents", "list"]),
  "agents remove": ({ pair }) => pair.json(pair.callee, ["agents", "remove", "new", "--yes"]),
  send: ({ pair }) => pair.json(pair.caller, ["send", "eu-lab/echo", "--prompt", "sent"]),
  call: async ({ pair }) => framesOf(await pair.succeed(pair.caller, ["call", ...talk, "--json"])),
  "runs watch": async ({ pair, ended }) =>
    framesOf(await pair.succeed(pair.caller, ["runs", "watch", ended, "--json"])),
  "runs cancel": ({ pair, waiting }) => pair.json(pair.caller, ["runs", "cancel", waiting]),
  "runs list": async ({ pair }) => ({
    asked: await pair.json(pair.caller, ["runs", "list"]),
    received: await pair.json(pair.callee, ["runs", "list", "--received"]),
  }),
  "runs show": async ({ pair, ended, waiting }) => ({
    asked: await pair.json(pair.caller, ["runs", "show", ended]),
    open: await pair.json(pair.caller, ["runs", "show", waiting]),
    received: await pair.json(pair.callee, ["runs", "show", ended]),
  }),
  "inbox list": ({ pair }) => pair.json(pair.callee, ["inbox", "list"]),
  "inbox show": async ({ pair, waiting }) => {
    const show = (runId: string) => pair.json(pair.callee, ["inbox", "show", runId]);
    const inbox = path.join(fileURLToPath(pair.storeUrl), "eu-lab", "inbox", "support");
    const unverified = "b".repeat(52);
    copyFileSync(path.join(inbox, waiting), path.join(inbox, unverified));
    const shown = { verified: await show(waiting), unverified: await show(unverified) };
    pair.hold();
    const held = await pair.send("held", "hold");
    const poll = pair.start(pair.callee, ["poll"]);
    await pair.untilStarted(held);
    const running = await show(held);
    pair.release();
    await poll.ended;
    return { ...shown, running };
  },
  poll: ({ pair }) => pair.json(pair.callee, ["poll"]),
  serve: async ({ pair }) => {
    const served = await pair.send("served");
    const serve = pair.start(pair.callee, ["serve", "--json"]);
    await pair.untilStarted(served);
    serve.child.kill("SIGTERM");
    return parsed((await serve.ended).stdout);
  },
  "quarantine list": ({ pair }) => pair.json(pair.callee, ["quarantine", "list"]),
  "quarantine show": async ({ pair }) => {
    const entries = itemsOf(await pair.json(pair.callee, ["quarantine", "list"]));
    const shown = entries.map((entry) => ["quarantine", "show", textOf(entry, "id")]);
    return Promise.all(shown.map((args) => pair.json(pair.callee, args)));
  },
  "quarantine release": async ({ pair }) =>
    pair.json(pair.callee, ["quarantine", "release", await keptIn(pair), "--yes"]),
  "quarantine discard": async ({ pair }) =>
    pair.json(pair.callee, ["quarantine", "discard", await keptIn(pair), "--yes"]),
  status: async ({ pair }) => {
    const status = async (home: string, ...flags: readonly string[]): Promise<unknown> =>
      parsed((await pair.run(home, ["status", "--json", ...flags])).stdout);
    // Where something was refused it ends with 1.
    return [
      await status(pair.callee),
      await status(pair.callee, "--offline"),
      await status(pair.caller),
    ];
  },
  gc: async ({ pair }) => {
    const swept = await pair.json(pair.callee, ["gc"]);
    // Where the store is away it ends with 3.
    const store = fileURLToPath(pair.storeUrl);
    renameSync(store, `${store}-away`);
    const { stdout } = await pair.run(pair.callee, ["gc", "--dry-run", "--json"]);
    renameSync(`${store}-away`, store);
    return [swept, parsed(stdout)];
  },
  doctor: async ({ pair }) => {
    // One thing to warn of, and one that fails.
    chmodSync(pair.callee, 0o755);
    await pair.succeed(pair.callee, ["agents", "add", "gone", "--exec", "no-such-program"]);
    return parsed((await pair.run(pair.callee, ["doctor", "--json"])).stdout);
  },
  "state recover": async ({ pair }) => {
    pair.hold();
    const open = await pair.send("open", "hold");
    const poll = pair.start(pair.callee, ["poll"]);
    await pair.untilStarted(open);
    poll.child.kill("SIGKILL");
    await poll.ended;
    const recover = ["state", "recover", "--yes", "--json"];
    const store = fileURLToPath(pair.storeUrl);
    renameSync(store, `${store}-away`);
    const away = await pair.run(pair.callee, recover);
    renameSync(`${store}-away`, store);
    return [parsed(away.stdout), await pair.json(pair.callee, recover.slice(0, -1))];
  },
  demo: ({ pair }) => pair.json(pair.caller, ["demo"]),
};

/** The id of something in quarantine that can be released. */
async function keptIn(pair: Pair): Promise<string> {
  const entries = itemsOf(await pair.json(pair.callee, ["quarantine", "list"]));
  return textOf(
    entries.find((entry) => fieldOf(entry, "kept") === true),
    "id",
  );
}

const talk = [
  ["eu-lab/talk", "--prompt", "x", "--idempotency-key", "all"],
  ["--tenant", "blue", "--deadline", "1h"],
].flat();

let world: World;
beforeAll(async () => {
  const pair = await pairInFolder();
  const exec = `'${process.execPath}' -e '${talker}'`;
  await pair.succeed(pair.callee, ["agents", "add", "talk", "--output", "jsonl", "--exec", exec]);
  await pair.succeed(pair.callee, ["peers", "grant", "support", "--agent", "talk", "--yes"]);
  const ended = (await pair.succeed(pair.caller, ["send", ...talk])).trim();
  await pair.send("fails", "fail");
  const inbox = path.join(fileURLToPath(pair.storeUrl), "eu-lab", "inbox", "support");
  writeFileSync(path.join(inbox, "a".repeat(52)), "no envelope");
  writeFileSync(path.join(inbox, "no name"), "junk");
  await pair.poll();
  await pair.poll(pair.caller);
  const waiting = await pair.send("waiting");
  const card = await pair.succeed(pair.caller, ["card", "export"]);
  world = { pair, ended, waiting, card };
});
afterAll(() => world.pair.remove());

/**
 * After a change that is meant, write the file anew by `npm test -- test/cli/json-shapes.test.ts --update`, and look
 * at what changed: a field may be added, and none may go or change its type.
 */
test(
  "what each command prints as JSON is made as it is written down",
  { timeout: 240_000 },
  async () => {
    const printing = commands().filter(({ flags }) => "json" in flags);
    const ids = printing.map(({ id }) => id.replaceAll(":", " "));
    expect(new Set(Object.keys(outputs))).toEqual(new Set(ids));
    const shapes = new Map<string, unknown>();
    for (const [id, output] of Object.entries(outputs))
      shapes.set(id, shapeOf(await output(world)));
    const ordered = ids.map((id) => [id, shapes.get(id)]);
    const text = `${JSON.stringify(Object.fromEntries(ordered), undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot("json-shapes.snapshot.json");
  },
);

/** The lines of a stream, by the event that each tells of. */
function framesOf(stdout: string): object {
  return Object.groupBy(stdout.trim().split("\n").map(parsed), (frame) => textOf(frame, "event"));
}
