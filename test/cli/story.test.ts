import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fieldOf, itemsOf, parsed } from "./support/json.ts";
import { codesIn, requestKey, type Pair } from "./support/pair.ts";
import { meetings } from "./support/stores.ts";

describe.each(meetings)("two gateways that meet $where", ({ skip, makePairByCommands }) => {
  let pair: Pair;
  beforeAll(async () => {
    if (!skip) pair = await makePairByCommands();
  });
  afterAll(() => {
    if (!skip) pair.remove();
  });

  test.skipIf(skip)("sent twice under one key and polled twice, a request runs once", async () => {
    const runId = await pair.send("twice");
    expect(await pair.send("twice")).toBe(runId);
    expect(await pair.poll()).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(await pair.poll()).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(pair.executions(runId)).toBe(1);
    expect(await pair.json(pair.callee, ["runs", "list", "--received"])).toContainEqual(
      expect.objectContaining({
        runId,
        state: "ended",
        status: "succeeded",
        starts: 1,
        attempt: 1,
      }),
    );
  });

  test.skipIf(skip)("another prompt under that key: exit 5, and nothing changes", async () => {
    const runId = await pair.send("taken");
    const args = ["eu-lab/echo", "--prompt", "another", "--idempotency-key", "taken"];
    for (const verb of ["send", "call"]) {
      const { status, stdout, stderr } = await pair.run(pair.caller, [verb, ...args]);
      expect({ status, stdout, codes: codesIn(stderr) }).toEqual({
        status: 5,
        stdout: "",
        codes: ["IDEMPOTENCY_CONFLICT"],
      });
    }
    expect(await pair.send("taken")).toBe(runId);
  });

  test.skipIf(skip)(
    "a later call with the same key gets the same answer without running again",
    async () => {
      const runId = await pair.send("again");
      await pair.poll();
      const call = ["call", "eu-lab/echo", "--prompt", "again", "--idempotency-key", "again"];
      expect(await pair.succeed(pair.caller, call)).toBe("AGAIN");
      expect(await pair.succeed(pair.caller, call)).toBe("AGAIN");
      expect(await pair.succeed(pair.caller, ["runs", "watch", runId])).toBe("AGAIN");
      await pair.poll();
      expect(pair.executions(runId)).toBe(1);
    },
  );

  test.skipIf(skip)(
    "an object that comes again after its run has ended does not run again",
    async () => {
      const runId = await pair.send("replayed");
      const key = requestKey(runId);
      const bytes = await pair.withStore(async (store) => store.get(key, { maxBytes: 10_000 }));
      if (bytes.status !== "found") throw new Error("the request is not in the inbox");
      await pair.poll();
      expect(await pair.withStore((store) => store.put(key, bytes.bytes))).toBe("created");
      await pair.poll();
      expect(pair.executions(runId)).toBe(1);
      const after = await pair.withStore((store) => store.get(key, { maxBytes: 10_000 }));
      expect(after.status).toBe("absent");
    },
  );

  test.skipIf(skip)(
    "an agent that was not granted: a signed refusal, exit 1, and nothing runs",
    async () => {
      const call = [
        "call",
        "eu-lab/spare",
        "--prompt",
        "x",
        "--idempotency-key",
        "spare",
        "--json",
      ];
      const following = pair.start(pair.caller, [...call, "--timeout", "20s"]);
      const sent = await untilAsked(pair, "spare");
      await pair.poll();
      const { status, stdout } = await following.ended;
      expect(status).toBe(1);
      expect(stdout.trim().split("\n").map(parsed)).toEqual([
        expect.objectContaining({
          runId: sent,
          attempt: 1,
          seq: 0,
          event: "terminal",
          payload: expect.objectContaining({
            status: "refused",
            error: expect.objectContaining({ code: "NOT_GRANTED" }),
          }),
        }),
      ]);
      expect(pair.executions(sent)).toBe(0);
    },
  );

  test.skipIf(skip)("an agent that is not there is refused in the same words", async () => {
    const refusals: unknown[] = [];
    for (const agent of ["spare", "no-such"]) {
      const call = [
        "call",
        `eu-lab/${agent}`,
        "--prompt",
        "y",
        "--idempotency-key",
        `y-${agent}`,
        "--json",
      ];
      await pair.run(pair.caller, ["send", ...call.slice(1, -1)]);
      await pair.poll();
      const { stdout } = await pair.run(pair.caller, call);
      refusals.push(fieldOf(parsed(stdout), "payload"));
    }
    expect(refusals[0]).toEqual(refusals[1]);
  });

  test.skipIf(skip)(
    "without a callee, call exits 75 after --timeout, and a later poll answers it",
    async () => {
      const call = ["call", "eu-lab/echo", "--prompt", "late", "--idempotency-key", "late"];
      const waited = await pair.run(pair.caller, [...call, "--timeout", "300ms"]);
      expect({ status: waited.status, stdout: waited.stdout }).toEqual({ status: 75, stdout: "" });
      expect(codesIn(waited.stderr)).toContain("WAIT_TIMEOUT");
      const runId = await pair.send("late");
      expect(waited.stderr).toContain(`postern runs watch ${runId}`);
      await pair.poll();
      expect(await pair.succeed(pair.caller, ["runs", "watch", runId, "--timeout", "20s"])).toBe(
        "LATE",
      );
      expect(pair.executions(runId)).toBe(1);
    },
  );

  test.skipIf(skip)(
    "text comes while the agent still works; a second poll meanwhile exits 75",
    async () => {
      pair.hold();
      const call = pair.start(pair.caller, [
        "call",
        "eu-lab/echo",
        "--prompt",
        "hold",
        "--idempotency-key",
        "hold",
      ]);
      const heard = call.says("begun");
      const runId = await untilAsked(pair, "hold");
      const first = pair.start(pair.callee, ["poll"]);
      await pair.untilStarted(runId);
      const second = await pair.poll();
      expect({ status: second.status, codes: codesIn(second.stderr) }).toEqual({
        status: 75,
        codes: ["PASS_RUNNING"],
      });
      await heard;
      expect(call.child.exitCode).toBeNull();
      pair.release();
      expect(await first.ended).toMatchObject({ status: 0, stdout: "", stderr: "" });
      expect(await call.ended).toMatchObject({
        status: 0,
        stdout: "begun\nreleased\n",
        stderr: "",
      });
    },
  );
});

/** The run that was asked under a key, once it is in the outbox and sent. */
async function untilAsked(pair: Pair, key: string): Promise<string> {
  for (let tries = 0; tries < 100; tries += 1) {
    const runs = itemsOf(await pair.json(pair.caller, ["runs", "list"]));
    const run = runs.find((each) => fieldOf(each, "idempotencyKey") === key);
    const runId = fieldOf(run, "runId");
    if (typeof runId === "string" && fieldOf(run, "sentAt") !== null) return runId;
  }
  throw new Error(`nothing was asked under ${key}`);
}
