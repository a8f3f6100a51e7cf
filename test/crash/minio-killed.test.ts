import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { codesIn } from "../cli/support/pair.ts";
import { environmentOf, makeBucketAt } from "../support/bucket.ts";
import { hasConditionalWrites } from "../support/s3.ts";
import { MinioProgram } from "../support/s3-server.ts";
import { Served } from "./served.ts";

const minio = hasConditionalWrites ? await MinioProgram.find() : undefined;
if (minio === undefined)
  process.stdout.write(
    "SKIPPED: a MinIO that is killed (it takes a MinIO program: minio/install)\n",
  );

describe.skipIf(minio === undefined)("on real S3 that is killed", { timeout: 120_000 }, () => {
  let served: Served;
  beforeAll(() => minio?.start());
  afterAll(() => minio?.remove());
  beforeEach(async () => {
    if (minio === undefined) return;
    const env = environmentOf(minio.s3);
    // What is made in this process takes its credentials from there.
    Object.assign(process.env, env);
    const bucket = await makeBucketAt(minio.s3);
    served = await Served.make(() => bucket.url(), env);
  });
  afterEach(() => served.remove());

  test("a run at work goes on to its end, and what is sent meanwhile is kept", async () => {
    const { pair } = served;
    const asked = ["eu-lab/echo", "--prompt", "hold", "--idempotency-key", "at-work"];
    served.serve("callee");
    const call = pair.start(pair.caller, ["call", ...asked]);
    await call.says("begun");
    const runId = await pair.send("at-work", "hold");
    await minio?.kill();
    const kept = await served.sendKept("meanwhile");
    expect(kept.codes).toEqual(["STORE_UNREACHABLE"]);
    const called = await call.ended;
    expect([called.status, codesIn(called.stderr)]).toEqual([3, ["STORE_UNREACHABLE"]]);
    pair.release();
    await served.untilAgentIsGone();
    await minio?.start();
    await served.allEndOnce([runId, kept.runId]);
    expect(await pair.succeed(pair.caller, ["call", ...asked])).toBe("begun\nreleased\n");
  });

  test("again and again: each run ends once, with its own answer", async () => {
    const { pair } = served;
    served.serve("callee");
    served.serve("caller");
    const runIds: string[] = [];
    for (const round of ["one", "two", "three"]) {
      runIds.push(await pair.send(`${round} a`), await pair.send(`${round} b`));
      // The one is at work or just done, the other one is anywhere.
      await pair.untilStarted(runIds.at(-2) ?? "");
      await minio?.kill();
      await minio?.start();
    }
    await served.allEndOnce(runIds);
    for (const runId of runIds)
      expect(await pair.succeed(pair.caller, ["runs", "watch", runId])).toMatch(/^[A-Z]+ [AB]$/);
  });
});
