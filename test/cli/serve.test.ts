import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Started } from "./support/cli.ts";
import { fieldOf, parsed } from "./support/json.ts";
import type { Pair } from "./support/pair.ts";
import { meetings } from "./support/stores.ts";

describe.each(meetings)("a service $where", ({ skip, makePair }) => {
  let pair: Pair;
  const services: Started[] = [];
  beforeAll(async () => {
    if (!skip) pair = await makePair();
  });
  beforeEach(() => {
    if (!skip) pair.hold();
  });
  afterAll(() => {
    for (const { child } of services) child.kill("SIGKILL");
    if (!skip) pair.remove();
  });

  function serve(args: readonly string[] = [], home = pair.callee): Started {
    const service = pair.start(home, ["serve", ...args]);
    services.push(service);
    return service;
  }

  async function terminalOf(runId: string): Promise<unknown> {
    const args = ["runs", "watch", runId, "--timeout", "20s", "--json"];
    const { stdout } = await pair.run(pair.caller, args);
    return fieldOf(parsed(stdout.trim().split("\n").at(-1) ?? ""), "payload");
  }

  test.skipIf(skip)("answers a call as it comes, and ends with 0 at SIGTERM", async () => {
    const service = serve(["--json"]);
    const args = ["call", "eu-lab/echo", "--prompt", "hello", "--timeout", "30s"];
    expect(await pair.succeed(pair.caller, args)).toContain("HELLO");
    service.child.kill("SIGTERM");
    const { status, stdout, stderr } = await service.ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(parsed(stdout)).toMatchObject({ admitted: 1, waiting: 0 });
  });

  test.skipIf(skip)(
    "of the caller closes what was sent, and two of the callee run it once",
    async () => {
      pair.release();
      const runId = await pair.send("served-twice");
      const both = [serve(), serve(), serve([], pair.caller)];
      await pair.untilStarted(runId);
      const shown = async () => pair.json(pair.caller, ["runs", "show", runId]);
      await expect
        .poll(shown, { timeout: 30_000 })
        .toMatchObject({ run: { state: "closed", status: "succeeded" } });
      for (const { child } of both) child.kill("SIGTERM");
      expect(await Promise.all(both.map(async ({ ended }) => (await ended).status))).toEqual([
        0, 0, 0,
      ]);
      expect(pair.executions(runId)).toBe(1);
    },
  );

  test.skipIf(skip)(
    "that is stopped lets a run go on within the grace, and takes nothing new",
    async () => {
      const runId = await pair.send("graceful", "hold");
      const service = serve(["--grace", "60s"]);
      await pair.untilStarted(runId);
      service.child.kill("SIGTERM");
      const later = await pair.send("after-the-signal");
      pair.release();
      expect((await service.ended).status).toBe(0);
      expect(await terminalOf(runId)).toMatchObject({ status: "succeeded" });
      expect(pair.executions(later)).toBe(0);
      await pair.poll();
    },
  );

  test.skipIf(skip)("ends a run interrupted after the grace", async () => {
    const runId = await pair.send("past-grace", "hold");
    const service = serve(["--grace", "500ms"]);
    await pair.untilStarted(runId);
    service.child.kill("SIGTERM");
    expect((await service.ended).status).toBe(0);
    expect(await terminalOf(runId)).toMatchObject({ status: "interrupted" });
  });

  test.skipIf(skip)("ends it at once at a second signal; at SIGINT with 130", async () => {
    const runId = await pair.send("in-haste", "hold");
    const service = serve(["--grace", "1h"]);
    await pair.untilStarted(runId);
    service.child.kill("SIGINT");
    // Signals of different kinds that wait together arrive in no particular order.
    await delay(200);
    service.child.kill("SIGTERM");
    expect((await service.ended).status).toBe(130);
    expect(await terminalOf(runId)).toMatchObject({ status: "interrupted" });
    expect(pair.executions(runId)).toBe(1);
  });
});
