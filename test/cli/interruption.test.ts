import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fieldOf, parsed } from "./support/json.ts";
import { codesIn, type Pair } from "./support/pair.ts";
import { pairInFolder } from "./support/stores.ts";
import type { Started } from "./support/cli.ts";

describe("what breaks off", () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairInFolder();
  });
  beforeEach(() => pair.hold());
  afterAll(() => pair.remove());

  /** A poll in the middle of a run that holds. */
  async function pollAtWork(key: string): Promise<{ runId: string; poll: Started }> {
    const runId = await pair.send(key, "hold");
    const poll = pair.start(pair.callee, ["poll"]);
    await pair.untilStarted(runId);
    return { runId, poll };
  }

  async function terminalOf(runId: string): Promise<unknown> {
    const { stdout } = await pair.run(pair.caller, [
      "runs",
      "watch",
      runId,
      "--timeout",
      "20s",
      "--json",
    ]);
    return fieldOf(parsed(stdout.trim().split("\n").at(-1) ?? ""), "payload");
  }

  test("a poll killed in the middle of a run: the next one ends it interrupted, and it never runs again", async () => {
    const { runId, poll } = await pollAtWork("killed");
    poll.child.kill("SIGKILL");
    expect(await poll.ended).toMatchObject({ signal: "SIGKILL" });
    pair.release();
    const report = parsed((await pair.poll(pair.callee, ["--json"])).stdout);
    expect(report).toMatchObject({ takenOver: 1, admitted: 0, problems: [] });
    const watch = await pair.run(pair.caller, ["runs", "watch", runId]);
    expect({ status: watch.status, codes: codesIn(watch.stderr) }).toEqual({
      status: 1,
      codes: expect.arrayContaining(["INTERRUPTED"]),
    });
    expect(await pair.json(pair.callee, ["runs", "show", runId])).toMatchObject({
      side: "received",
      runs: [{ state: "ended", status: "interrupted", starts: 1, attempt: 2 }],
    });
    await pair.poll();
    expect(pair.executions(runId)).toBe(1);
  });

  test("a poll that gets SIGTERM ends its run interrupted, and itself with 0", async () => {
    const { runId, poll } = await pollAtWork("terminated");
    poll.child.kill("SIGTERM");
    expect(await poll.ended).toMatchObject({ status: 0, signal: null });
    expect(await terminalOf(runId)).toMatchObject({
      status: "interrupted",
      error: { code: "INTERRUPTED" },
    });
    expect(await pair.json(pair.callee, ["runs", "show", runId])).toMatchObject({
      runs: [{ state: "ended", published: true }],
    });
  });

  test("a poll that gets SIGINT ends its run interrupted, and itself with 130", async () => {
    const { runId, poll } = await pollAtWork("interrupted");
    poll.child.kill("SIGINT");
    expect(await poll.ended).toMatchObject({ status: 130, signal: null });
    expect(await terminalOf(runId)).toMatchObject({ status: "interrupted" });
  });

  test("an interrupted call exits 130, says how to go on, and its run is answered later", async () => {
    const call = pair.start(pair.caller, [
      "call",
      "eu-lab/echo",
      "--prompt",
      "left alone",
      "--idempotency-key",
      "left",
    ]);
    const runId = await sentRun("left");
    call.child.kill("SIGINT");
    const { status, stderr } = await call.ended;
    expect(status).toBe(130);
    expect(stderr).toContain(`postern runs watch ${runId}`);
    await pair.poll();
    expect(await pair.succeed(pair.caller, ["runs", "watch", runId])).toBe("LEFT ALONE");
  });

  test("a cancel before the run starts: it never runs, and ends cancelled", async () => {
    const runId = await pair.send("cancelled early");
    expect(await pair.json(pair.caller, ["runs", "cancel", runId])).toMatchObject({
      runId,
      cancelAsked: true,
    });
    await pair.poll();
    expect(await terminalOf(runId)).toMatchObject({
      status: "cancelled",
      error: { code: "CANCELLED" },
    });
    expect(pair.executions(runId)).toBe(0);
  });

  test("a cancel while the run works stops its program", async () => {
    const { runId, poll } = await pollAtWork("cancelled late");
    await pair.succeed(pair.caller, ["runs", "cancel", runId]);
    expect(await poll.ended).toMatchObject({ status: 0 });
    expect(await terminalOf(runId)).toMatchObject({
      status: "cancelled",
      error: { code: "CANCELLED" },
    });
    expect(isGone(Number(readFileSync(`${pair.journal}.pid`, "utf8")))).toBe(true);
  });

  test("a deadline that passes while the run works: cancelled, DEADLINE, exit 1", async () => {
    const ask = ["eu-lab/echo", "--prompt", "hold", "--idempotency-key", "too slow"];
    await pair.succeed(pair.caller, ["send", ...ask, "--deadline", "2s"]);
    await pair.poll();
    const { status, stderr } = await pair.run(pair.caller, ["call", ...ask, "--timeout", "20s"]);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 1, codes: ["DEADLINE"] });
  });

  test("a program that fails: exit 1, HANDLER_FAILED", async () => {
    const ask = ["eu-lab/echo", "--prompt", "fail", "--idempotency-key", "fails"];
    await pair.succeed(pair.caller, ["send", ...ask]);
    await pair.poll();
    const { status, stderr } = await pair.run(pair.caller, ["call", ...ask]);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 1, codes: ["HANDLER_FAILED"] });
  });

  test("a pass closes what was asked, in the caller's own state", async () => {
    const runId = await pair.send("closed by poll");
    await pair.poll();
    const report = parsed((await pair.poll(pair.caller, ["--json"])).stdout);
    expect(report).toMatchObject({ closed: expect.any(Number), problems: [] });
    expect(await pair.json(pair.caller, ["runs", "show", runId])).toMatchObject({
      side: "asked",
      run: { state: "closed", status: "succeeded", terminal: { result: "CLOSED BY POLL" } },
    });
  });

  async function sentRun(key: string): Promise<string> {
    for (;;) {
      const runId = await pair.send(key, "left alone");
      const shown = await pair.json(pair.caller, ["runs", "show", runId]);
      if (fieldOf(fieldOf(shown, "run"), "sentAt") !== null) return runId;
    }
  }
});

/** Whether the agent's process is gone, which notes its number when it starts. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
