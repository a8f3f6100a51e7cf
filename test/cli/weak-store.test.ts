import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startS3, type RunningS3, type S3UnderTest } from "../support/s3-server.ts";
import { environmentOf, makeBucketAt, type TestBucket } from "../support/bucket.ts";
import { hasConditionalWrites, s3 } from "../support/s3.ts";
import { WeakS3, type Weaknesses } from "../support/weak-s3.ts";
import { doctor } from "./support/findings.ts";
import { codesIn, Pair } from "./support/pair.ts";

function pairAt(at: S3UnderTest, url: string): Promise<Pair> {
  // A home is made in this process.
  Object.assign(process.env, environmentOf(at));
  return Pair.make(() => url, environmentOf(at));
}

const unsafe = { status: 3, bad: ["failure conditional writes STORE_UNSAFE"] };

describe.runIf(hasConditionalWrites)("a store that is weaker than it should be", () => {
  let bucket: TestBucket;
  let weak: WeakS3;
  let pair: Pair;
  beforeAll(async () => {
    bucket = await makeBucketAt(s3);
    weak = await WeakS3.start(s3, bucket);
    const url = bucket.url("mail").replace(s3.endpoint, weak.endpoint);
    pair = await pairAt(s3, url);
  });
  afterAll(async () => {
    pair.remove();
    await weak[Symbol.asyncDispose]();
    await bucket.remove();
  });

  async function as<T>(weaknesses: Weaknesses, use: () => Promise<T>): Promise<T> {
    weak.weaknesses = weaknesses;
    try {
      return await use();
    } finally {
      weak.weaknesses = {};
    }
  }

  test("is sound through the same line while it is not weak", async () => {
    expect(await doctor(pair)).toEqual({ status: 0, bad: [] });
  });

  test("by writing over what stands: doctor fails, and nothing runs for others until it does not", async () => {
    const runId = await as({ conditionalWrites: "ignored" }, async () => {
      expect(await doctor(pair)).toEqual(unsafe);
      const sent = await pair.send("asked over a weak store");
      const { status, stderr } = await pair.poll();
      expect([status, codesIn(stderr)]).toEqual([3, ["STORE_UNSAFE"]]);
      expect(pair.executions(sent)).toBe(0);
      return sent;
    });
    expect(await pair.poll()).toMatchObject({ status: 0 });
    expect(pair.executions(runId)).toBe(1);
    // Once the name is claimed, reading an answer needs no condition.
    await as({ conditionalWrites: "ignored" }, () => pair.poll(pair.caller));
    expect(await pair.succeed(pair.caller, ["runs", "list"])).toContain("succeeded");
  });

  test("by knowing no conditional writes: doctor fails, and so does asking, STORE_UNSAFE", async () => {
    await as({ conditionalWrites: "refused" }, async () => {
      expect(await doctor(pair)).toEqual(unsafe);
      const args = ["send", "eu-lab/echo", "--prompt", "x", "--idempotency-key", "refused"];
      const { status, stderr } = await pair.run(pair.caller, args);
      expect([status, codesIn(stderr)]).toEqual([3, ["STORE_UNSAFE"]]);
    });
  });

  test("by listing late: doctor says by how much, and a run is answered all the same", async () => {
    await as({ listLagMs: 1500 }, async () => {
      expect(await doctor(pair)).toEqual({ status: 0, bad: ["warning listing"] });
      const runId = await pair.send("listed late");
      for (let polls = 0; polls < 20 && pair.executions(runId) === 0; polls += 1) await pair.poll();
      await pair.poll();
      expect(pair.executions(runId)).toBe(1);
    });
  });

  test("by still giving out what was deleted: nothing runs twice", async () => {
    await as({ listLagMs: 2500, readLagMs: 2500 }, async () => {
      expect((await doctor(pair)).bad).toEqual(["warning listing"]);
      const runId = await pair.send("deleted late");
      for (let polls = 0; polls < 20 && pair.executions(runId) === 0; polls += 1) await pair.poll();
      for (let polls = 0; polls < 3; polls += 1) await pair.poll();
      expect(pair.executions(runId)).toBe(1);
    });
  });

  test("by turning away every second request: doctor says so of writes, and a run is answered", async () => {
    let asked = 0;
    const headers = { "retry-after": "1" };
    const everySecond = (of: (method: string) => boolean): Weaknesses => ({
      says: ({ method }) =>
        of(method) && (asked += 1) % 2 === 0
          ? { status: 503, code: "SlowDown", headers }
          : undefined,
    });
    await as(
      everySecond((method) => method === "PUT"),
      async () => {
        expect(await doctor(pair)).toEqual({ status: 0, bad: ["warning rate"] });
      },
    );
    await as(
      everySecond(() => true),
      async () => {
        const runId = await pair.send("through the crowd");
        await pair.poll();
        expect(pair.executions(runId)).toBe(1);
      },
    );
  });

  test("by turning one key away (429): what lies under it waits, and all else is dealt with", async () => {
    const held = await pair.send("held back");
    const says: Weaknesses["says"] = ({ method, key }) =>
      method === "GET" && key?.endsWith(held) === true
        ? { status: 429, code: "TooManyRequests" }
        : undefined;
    await as({ says }, async () => {
      const other = await pair.send("not held back");
      expect(codesIn((await pair.poll()).stderr)).toEqual(["STORE_FAILED"]);
      expect([pair.executions(held), pair.executions(other)]).toEqual([0, 1]);
    });
    await pair.poll();
    expect(pair.executions(held)).toBe(1);
  });

  test("by another clock than ours: doctor and poll fail, STORE_CLOCK_SKEW", async () => {
    const says = () => ({ status: 403, code: "RequestTimeTooSkewed" });
    await as({ says }, async () => {
      expect(await doctor(pair)).toEqual({ status: 3, bad: ["failure store STORE_CLOCK_SKEW"] });
      expect(codesIn((await pair.poll()).stderr)).toContain("STORE_CLOCK_SKEW");
    });
  });
});

describe("the emulator fauxqs", () => {
  let emulator: RunningS3;
  let pair: Pair;
  beforeAll(async () => {
    emulator = await startS3("emulator");
    const at: S3UnderTest = emulator.s3;
    const bucket = await makeBucketAt(at);
    pair = await pairAt(at, bucket.url("mail"));
  });
  afterAll(async () => {
    pair.remove();
    await emulator.stop();
  });

  test("writes over what stands: doctor fails, asking works, and nothing runs for others there", async () => {
    expect(await doctor(pair)).toEqual(unsafe);
    const runId = await pair.send("x");
    const { status, stderr } = await pair.poll();
    expect([status, codesIn(stderr), pair.executions(runId)]).toEqual([3, ["STORE_UNSAFE"], 0]);
  });
});
