import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../src/base/log.ts";
import type { RunId } from "../../src/base/names.ts";
import { send } from "../../src/gateway/client.ts";
import { openGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import type { Started } from "./support/cli.ts";
import { itemsOf, textOf } from "./support/json.ts";
import type { Pair } from "./support/pair.ts";
import { pairInFolder } from "./support/stores.ts";

const minutes = 10;
/** In which minutes the callee's pass is killed while its agent works, or anywhere, and the caller's anywhere. */
const killedAtWork = new Set([1, 6]);
const killedAnywhere = new Set([3, 5, 8]);
const killedAtCaller = new Set([4, 7]);

const poll = ["poll", "--max-time", "50s"];
const silence = { status: 0, stdout: "", stderr: "" };

let pair: Pair;
let caller: Gateway;
let random: SeededRandom;
beforeEach(async () => {
  pair = await pairInFolder();
  caller = await openGateway({ home: pair.caller, log: silentLogger, env: {}, admits: false });
  random = new SeededRandom(1);
});
afterEach(async () => {
  await caller[Symbol.asyncDispose]();
  pair.remove();
});

async function ask(idempotencyKey: string, prompt: string): Promise<RunId> {
  const { runId } = await send(caller, { target: "eu-lab/echo", prompt, idempotencyKey });
  return runId;
}

async function killSoon({ child }: Started): Promise<void> {
  await delay(random.integer(50, 600));
  child.kill("SIGKILL");
}

/** What is asked, then a pass on each side; some are killed, and the others have nothing to say. */
async function liveThrough(minute: number): Promise<readonly RunId[]> {
  const key = `minute ${minute}`;
  const asked = [
    await ask(key, "hello"),
    await ask(`${key} more`, "hello"),
    await ask(key, "hello"),
  ];
  const long = killedAtWork.has(minute) ? await ask(`${key} long`, "hold") : undefined;
  const passes = [pair.start(pair.callee, poll), pair.start(pair.caller, poll)] as const;
  if (killedAnywhere.has(minute)) void killSoon(passes[0]);
  if (killedAtCaller.has(minute)) void killSoon(passes[1]);
  if (long !== undefined) {
    await pair.untilStarted(long);
    passes[0].child.kill("SIGKILL");
    asked.push(long);
  }
  const ended = await Promise.all(passes.map((pass) => pass.ended));
  for (const end of ended) if (end.signal !== "SIGKILL") expect(end).toMatchObject(silence);
  return asked;
}

test(
  "ten minutes of cron, some passes of which are killed: each run happens once at most, and is answered",
  { timeout: 180_000 },
  async () => {
    const asked = new Set<RunId>();
    for (let minute = 0; minute < minutes; minute += 1)
      for (const runId of await liveThrough(minute)) asked.add(runId);
    pair.release();
    expect(await pair.poll()).toMatchObject(silence);
    expect(await pair.poll(pair.caller)).toMatchObject(silence);
    // An answer under a higher attempt is looked for in one of some passes; somebody who watches finds it.
    for (const { runId, state } of await caller.mailbox.state.outboxRecords({ limit: 100 })) {
      if (state === "open")
        await pair.run(pair.caller, ["runs", "watch", runId, "--timeout", "20s"]);
    }

    const runs = itemsOf(await pair.json(pair.caller, ["runs", "list"]));
    expect(new Set(runs.map((run) => textOf(run, "runId")))).toEqual(asked);
    for (const run of runs) {
      const executions = pair.executions(textOf(run, "runId"));
      expect(executions).toBeLessThanOrEqual(1);
      // The start of a run is committed before its program comes to note it.
      const wasKilled = textOf(run, "idempotencyKey").endsWith("long") || executions === 0;
      const said = ["state", "status", "code"].map((field) => textOf(run, field)).join(" ");
      expect(said).toMatch(
        wasKilled
          ? /^closed interrupted INTERRUPTED$/
          : /^closed (?:succeeded |interrupted INTERRUPTED)$/,
      );
    }
    const received = itemsOf(await pair.json(pair.callee, ["runs", "list", "--received"]));
    expect(received).toHaveLength(asked.size);
    for (const run of received)
      expect(run).toMatchObject({ state: "ended", published: true, starts: 1 });
    const { entries } = await caller.mailbox.store.list({ prefix: "eu-lab/inbox/", limit: 1 });
    expect(entries).toEqual([]);
  },
);
