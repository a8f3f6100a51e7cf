import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { parseRunId } from "../../src/base/names.ts";
import { followRun } from "../../src/cli/follow-run.ts";
import { Patience } from "../../src/cli/patience.ts";
import { printerFor } from "../../src/cli/run-printer.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { rejectionCode } from "../support/rejection.ts";
import { fieldOf, itemsOf, parsed } from "./support/json.ts";
import { codesIn, type Pair } from "./support/pair.ts";
import { pairInFolder } from "./support/stores.ts";

const hourMs = 3_600_000;

describe("asking", () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairInFolder();
  });
  afterAll(() => pair.remove());

  /** Asks, has it answered, and returns what `call` then prints. */
  async function answered(args: readonly string[], stdin = ""): Promise<string> {
    await pair.succeed(pair.caller, ["send", ...args], { stdin });
    await pair.poll();
    return pair.succeed(pair.caller, ["call", ...args], { stdin });
  }

  test("send --json is one object: runId, idempotencyKey, to, state", async () => {
    const send = ["send", "eu-lab/echo", "--prompt", "x", "--json"];
    const keyed = parsed(await pair.succeed(pair.caller, [...send, "--idempotency-key", "mine"]));
    expect(keyed).toEqual({
      runId: expect.stringMatching(/^[a-z2-7]{52}$/),
      idempotencyKey: "mine",
      to: "eu-lab",
      state: "open",
    });
    const [one, two] = [
      await pair.succeed(pair.caller, send),
      await pair.succeed(pair.caller, send),
    ];
    expect(fieldOf(parsed(one), "runId")).not.toBe(fieldOf(parsed(two), "runId"));
    await pair.poll();
  });

  test("a prompt may come from stdin or a file", async () => {
    const ask = ["eu-lab/echo", "--idempotency-key", "piped", "--prompt-file"];
    expect(await answered([...ask, "-"], "piped in\n")).toBe("PIPED IN\n");
    const file = path.join(pair.user.folder, "prompt.txt");
    writeFileSync(file, "piped in\n");
    expect(await pair.succeed(pair.caller, ["call", ...ask, file])).toBe("PIPED IN\n");
  });

  test("a tool call needs its own grant: the granted tool runs, another is refused", async () => {
    const tool = (name: string): string[] => [
      "eu-lab/echo",
      "--tool",
      name,
      "--input",
      '{"path":"/var"}',
      "--idempotency-key",
      `tool ${name}`,
    ];
    expect(await answered(tool("usage"))).toBe('{"NAME":"USAGE","INPUT":{"PATH":"/VAR"}}');
    await pair.succeed(pair.caller, ["send", ...tool("format")]);
    await pair.poll();
    const { status, stderr } = await pair.run(pair.caller, ["call", ...tool("format")]);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 1, codes: ["NOT_GRANTED"] });
  });

  test("--continue goes on from an own earlier run, and from no other", async () => {
    const earlier = await pair.send("earlier");
    await pair.poll();
    const goOn = (from: string): string[] => [
      "eu-lab/echo",
      "--prompt",
      "later",
      "--continue",
      from,
      "--idempotency-key",
      `after ${from}`,
    ];
    expect(await answered(goOn(earlier))).toBe("LATER");
    await pair.succeed(pair.caller, ["send", ...goOn("b".repeat(52))]);
    await pair.poll();
    const { status, stderr } = await pair.run(pair.caller, ["call", ...goOn("b".repeat(52))]);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 1, codes: ["NOT_GRANTED"] });
  });

  test("--tenant is part of the run's name, reaches the callee, and is shown on both sides", async () => {
    const ask = ["send", "eu-lab/echo", "--prompt", "x", "--idempotency-key", "for a tenant"];
    const plain = (await pair.succeed(pair.caller, ask)).trim();
    const runId = (await pair.succeed(pair.caller, [...ask, "--tenant", "blue"])).trim();
    expect(runId).not.toBe(plain);
    await pair.poll();
    const runs = itemsOf(await pair.json(pair.caller, ["runs", "list"]));
    const received = itemsOf(await pair.json(pair.callee, ["runs", "list", "--received"]));
    for (const side of [runs, received]) {
      expect(side).toContainEqual(expect.objectContaining({ runId, tenant: "blue" }));
      expect(side).toContainEqual(expect.objectContaining({ runId: plain, tenant: null }));
    }
    expect(await pair.json(pair.caller, ["runs", "show", runId])).toMatchObject({
      run: { tenant: "blue" },
    });
    const table = await pair.succeed(pair.callee, ["runs", "list", "--received"]);
    expect(table).toMatch(new RegExp(`^${runId}  support  echo +prompt +blue `, "m"));
    const tooLong = [...ask, "--tenant", "x".repeat(129)];
    const { status, stderr } = await pair.run(pair.caller, tooLong);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 2, codes: ["REQUEST_INVALID"] });
  });

  test("a name under routes stands for an agent elsewhere", async () => {
    const config = path.join(pair.caller, "config.json");
    const routed = readFileSync(config, "utf8").replace(
      '"agents"',
      '"routes": { "sre": "eu-lab/echo" }, "agents"',
    );
    writeFileSync(config, routed);
    expect(await answered(["sre", "--prompt", "routed", "--idempotency-key", "r"])).toBe("ROUTED");
  });

  test("poll --max-runs admits no more than that, and the rest at the next pass", async () => {
    const runIds = [
      await pair.send("many 1"),
      await pair.send("many 2"),
      await pair.send("many 3"),
    ];
    const executed = (): number => runIds.reduce((sum, runId) => sum + pair.executions(runId), 0);
    await pair.poll(pair.callee, ["--max-runs", "1"]);
    expect(executed()).toBe(1);
    await pair.poll();
    expect(executed()).toBe(3);
  });

  test("runs list tells both sides of a run", async () => {
    const runId = await pair.send("listed");
    await pair.poll();
    const asked = itemsOf(await pair.json(pair.caller, ["runs", "list"]));
    expect(asked).toContainEqual(
      expect.objectContaining({
        runId,
        to: "eu-lab",
        agent: "echo",
        kind: "prompt",
        state: "open",
      }),
    );
    const received = itemsOf(await pair.json(pair.callee, ["runs", "list", "--received"]));
    expect(received).toContainEqual(
      expect.objectContaining({
        runId,
        from: "support",
        agent: "echo",
        state: "ended",
        published: true,
      }),
    );
    const kept = fieldOf(
      received.find((each) => fieldOf(each, "runId") === runId),
      "keptUntil",
    );
    expect(Date.parse(String(kept))).toBeGreaterThan(Date.now() + 6 * 24 * hourMs);
    const table = await pair.succeed(pair.caller, ["runs", "list", "--limit", "1"]);
    expect(table.trimEnd().split("\n")).toHaveLength(2);
  });

  test("runs list --received --limit shows the latest, in order, whether running or ended", async () => {
    const ended = await pair.send("ended first");
    await pair.poll();
    pair.hold();
    const running = await pair.send("still running", "hold");
    const poll = pair.start(pair.callee, ["poll"]);
    await pair.untilStarted(running);
    const latest = async (limit: number): Promise<readonly unknown[]> => {
      const args = ["runs", "list", "--received", "--limit", `${limit}`];
      return itemsOf(await pair.json(pair.callee, args)).map((run) => [
        fieldOf(run, "runId"),
        fieldOf(run, "state") === "ended",
      ]);
    };
    expect(await latest(1)).toEqual([[running, false]]);
    expect(await latest(2)).toEqual([
      [ended, true],
      [running, false],
    ]);
    pair.release();
    expect(await poll.ended).toMatchObject({ status: 0 });
  });

  test("no answer in its time: the outcome is unknown, OUTCOME_UNKNOWN, and a late answer counts", async () => {
    const ask = ["eu-lab/echo", "--prompt", "too late", "--idempotency-key", "unknown"];
    const runId = (await pair.succeed(pair.caller, ["send", ...ask])).trim();
    await using gateway = await openGateway({
      home: pair.caller,
      log: silentLogger,
      env: {},
      admits: false,
    });
    const later = { ...systemClock, now: () => systemClock.now() + 48 * hourMs };
    using patience = new Patience(systemClock, undefined, new AbortController().signal);
    const following = followRun(
      { ...gateway.mailbox, clock: later },
      parseRunId(runId),
      printerFor(parseRunId(runId), false),
      patience,
    );
    expect(await rejectionCode(following)).toBe("OUTCOME_UNKNOWN");
    expect(await pair.json(pair.caller, ["runs", "show", runId])).toMatchObject({
      run: { state: "unknown", status: null },
    });
    await pair.poll();
    expect(await pair.succeed(pair.caller, ["runs", "watch", runId, "--timeout", "20s"])).toBe(
      "TOO LATE",
    );
  });

  test("a state that is gone: nothing runs until it is recovered, and nothing of before runs then", async () => {
    const runId = await pair.send("before the loss");
    for (const ending of ["", "-wal", "-shm"]) {
      rmSync(path.join(pair.callee, `state.db${ending}`), { force: true });
    }
    const { status, stderr } = await pair.poll();
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 2, codes: ["STATE_MISSING"] });
    expect(await pair.json(pair.callee, ["state", "recover", "--yes"])).toMatchObject({
      made: true,
      claimed: true,
      openRuns: [],
    });
    expect(await pair.poll()).toMatchObject({ status: 0 });
    const watched = await pair.run(pair.caller, ["runs", "watch", runId]);
    expect({ status: watched.status, codes: codesIn(watched.stderr) }).toEqual({
      status: 1,
      codes: ["STATE_LOST"],
    });
    expect(pair.executions(runId)).toBe(0);
  });
});
