import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codesIn, Pair } from "../cli/support/pair.ts";
import { useS3InThisProcess } from "../cli/support/stores.ts";
import { parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { runIdOf } from "../../src/protocol/run-id.ts";
import { assumeRole, type SessionEnvironment } from "../support/assume-role.ts";
import { makeBucket, s3, s3Environment, type TestBucket } from "../support/s3.ts";

const folder = path.join(import.meta.dirname, "../../docs/s3");
const read = (name: string): string => readFileSync(path.join(folder, name), "utf8");

/** The policies are tried on MinIO, whose token service hands out credentials for one. */
const isMinio = s3.kind === "docker" || s3.kind === "program";

it("the policies for a bucket are documents of the kind that they say", () => {
  for (const name of ["gateway-policy.json", "bucket-policy.json"])
    expect(JSON.parse(read(name))).toMatchObject({
      Version: "2012-10-17",
      Statement: expect.arrayContaining([
        expect.objectContaining({ Sid: expect.any(String), Effect: expect.any(String) }),
      ]),
    });
});

describe.runIf(isMinio)("two gateways whose credentials have the policy of the documents", () => {
  let bucket: TestBucket;
  let pair: Pair;
  let caller: SessionEnvironment;
  let callee: SessionEnvironment;
  beforeAll(async () => {
    bucket = await makeBucket();
    useS3InThisProcess();
    pair = await Pair.make(() => bucket.url(), s3Environment);
    caller = await credentialsOf("support", "eu-lab");
    callee = await credentialsOf("eu-lab", "support");
  });
  afterAll(async () => {
    pair.remove();
    await bucket.remove();
  });

  function credentialsOf(self: string, peer: string): Promise<SessionEnvironment> {
    const names: Readonly<Record<string, string>> = { postern: bucket.name, hq: self, lab: peer };
    const policy = read("gateway-policy.json");
    return assumeRole(
      s3,
      policy.replaceAll(/\b(?:postern|hq|lab)\b/g, (name) => names[name] ?? ""),
    );
  }

  const asked = (key: string) => ["eu-lab/echo", "--prompt", "hi", "--idempotency-key", key];

  it("find nothing missing, ask, answer, and close", async () => {
    await pair.succeed(pair.caller, ["doctor"], { env: caller });
    await pair.succeed(pair.callee, ["doctor"], { env: callee });
    await pair.succeed(pair.caller, ["send", ...asked("plain")], { env: caller });
    await pair.succeed(pair.callee, ["poll"], { env: callee });
    expect(await pair.succeed(pair.caller, ["call", ...asked("plain")], { env: caller })).toBe(
      "HI",
    );
    const left = await bucket.client.send(new ListObjectsV2Command({ Bucket: bucket.name }));
    expect(left.Contents?.map(({ Key }) => Key)).toEqual(["eu-lab/owner/0000000001"]);
  });

  it("see what stands in the place of what they write", async () => {
    const parts = { realm: parseRealm("default"), tenant: undefined, idempotencyKey: "taken" };
    const between = { caller: parseGatewayName("support"), callee: parseGatewayName("eu-lab") };
    const runId = runIdOf({ ...parts, ...between });
    const there = { Bucket: bucket.name, Key: `eu-lab/inbox/support/${runId}` };
    await bucket.client.send(new PutObjectCommand({ ...there, Body: "x" }));
    await pair.succeed(pair.caller, ["send", ...asked("taken")], { env: caller });
    const shown = await pair.json(pair.caller, ["runs", "show", runId]);
    expect(shown).toMatchObject({ run: { displaced: true } });
    await bucket.client.send(new DeleteObjectCommand(there));
  });

  it("recover a lost state, and look for what it may have answered", async () => {
    await pair.succeed(pair.caller, ["send", ...asked("lost")], { env: caller });
    for (const ending of ["", "-wal", "-shm"])
      rmSync(path.join(pair.callee, `state.db${ending}`), { force: true });
    await pair.succeed(pair.callee, ["state", "recover", "--yes"], { env: callee });
    await pair.succeed(pair.callee, ["poll"], { env: callee });
    const { stderr } = await pair.run(pair.caller, ["call", ...asked("lost")], { env: caller });
    expect(codesIn(stderr)).toEqual(["STATE_LOST"]);
  });

  it("read nobody else's mail, and write in nobody else's name", async () => {
    const Bucket = bucket.name;
    const body = { Bucket, Body: "x" };
    await bucket.client.send(new PutObjectCommand({ ...body, Key: "eu-lab/inbox/other/x" }));
    const client = clientWith(caller);
    const write = (Key: string) => client.send(new PutObjectCommand({ ...body, Key }));
    const others = { Bucket, Key: "eu-lab/inbox/other/x" };
    const tries: Readonly<Record<string, () => Promise<unknown>>> = {
      "read another's request": () => client.send(new GetObjectCommand(others)),
      "delete another's request": () => client.send(new DeleteObjectCommand(others)),
      "list another's inbox": () =>
        client.send(new ListObjectsV2Command({ Bucket, Prefix: "eu-lab/inbox/" })),
      "list the bucket": () => client.send(new ListObjectsV2Command({ Bucket })),
      "take back its own request": () =>
        client.send(new DeleteObjectCommand({ Bucket, Key: "eu-lab/inbox/support/x" })),
      "ask in another's name": () => write("eu-lab/inbox/other/y"),
      "answer in another's name": () => write("support/frames/eu-lab/y"),
      "claim another's name": () => write("eu-lab/owner/0000000009"),
    };
    for (const [what, attempt] of Object.entries(tries))
      await expect(attempt(), what).rejects.toMatchObject({ name: "AccessDenied" });
    client.destroy();
  });

  function clientWith(env: SessionEnvironment): S3Client {
    return new S3Client({
      endpoint: s3.endpoint,
      region: s3.region,
      forcePathStyle: true,
      credentials: {
        accessKeyId: env.AWS_ACCESS_KEY_ID,
        secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
        sessionToken: env.AWS_SESSION_TOKEN,
      },
    });
  }
});
