/**
 * One request and its answer through a real S3, beside the shortest chain of raw requests that could carry
 * them (2 PUT, 2 LIST, 2 GET), in turn, in one run: only the ratio means anything. Waiting for polls is left
 * out. Prints the store's requests by kind, which are what users pay for.
 *
 * `npm run bench` (takes the first real S3 that the tests would take)
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { toBase64Url } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import {
  parseAgentName,
  parseGatewayName,
  parseRealm,
  type GatewayName,
} from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { ask, deliver } from "../../src/gateway/ask.ts";
import { poll } from "../../src/gateway/poll.ts";
import { follow } from "../../src/mailbox/follow.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { openWorker } from "../../src/mailbox/workers.ts";
import { signingKeyFromSeed, type SigningKey } from "../../src/protocol/keys.ts";
import { createSqliteState } from "../../src/state/sqlite.ts";
import { meterStore, type StoreCounts } from "../../src/store/meter.ts";
import { parseStoreUrl } from "../../src/store/open.ts";
import { S3Store } from "../../src/store/s3.ts";
import { checkTrustDocument } from "../../src/trust/document.ts";
import { makeTrust } from "../../src/trust/trust.ts";
import { startS3, type S3UnderTest } from "../support/s3-server.ts";

const bucket = "postern-bench";
const realm = parseRealm("bench");
const agent = parseAgentName("echo");

interface Bench {
  readonly mailbox: Mailbox;
  readonly counts: () => StoreCounts;
  readonly close: () => Promise<void>;
}

async function gateway(
  s3: S3UnderTest,
  folder: string,
  self: GatewayName,
  signingKey: SigningKey,
  peer: { readonly name: GatewayName; readonly key: SigningKey },
): Promise<Bench> {
  const url = parseStoreUrl(
    `s3://${bucket}/mail?endpoint=${s3.endpoint}&region=${s3.region}&pathStyle=true`,
  );
  if (url.kind !== "s3") throw new Error("not a bucket");
  const { accessKeyId, secretAccessKey } = s3;
  const metered = meterStore(
    new S3Store({ ...url, credentials: { accessKeyId, secretAccessKey } }),
  );
  const clock = systemClock;
  const random = systemRandom;
  const state = await createSqliteState({
    file: join(folder, `${self}.db`),
    clock,
    machine: "bench",
  });
  const worker = openWorker({ folder: join(folder, self), random });
  const trust = makeTrust(
    checkTrustDocument({
      v: 1,
      gateway: self,
      realm,
      version: 1,
      expires: "2099-01-01T00:00:00Z",
      peers: {
        [peer.name]: {
          keys: [{ publicKey: toBase64Url(peer.key.publicKey.bytes), use: "gateway" }],
          grants: { kinds: ["prompt"], agents: [agent], maxRequestsPerMinute: 1_000_000 },
        },
      },
    }),
  );
  return {
    mailbox: {
      self,
      realm,
      signingKey,
      store: metered.store,
      state,
      trust: { current: () => trust },
      liveness: worker,
      clock,
      random,
      log: silentLogger,
    },
    counts: () => metered.counts(),
    close: async () => {
      worker.close();
      await state.close();
      await metered.store.close();
    },
  };
}

async function roundTrip(caller: Bench, callee: Bench, prompt: string): Promise<void> {
  const asked = await ask(caller.mailbox, new Map(), {
    target: `${callee.mailbox.self}/${agent}`,
    body: { kind: "prompt", prompt: { text: prompt } },
  });
  await deliver(caller.mailbox, asked);
  const echo = { run: () => Promise.resolve({ result: prompt }) };
  await poll(callee.mailbox, {
    agents: new Map([[agent, { handler: echo, maxRunMs: 60_000, onCrash: "report" }]]),
    maxConcurrentRuns: 4,
  });
  for await (const frame of follow(caller.mailbox, asked.record.runId)) {
    if (frame.event === "terminal" && frame.payload.status !== "succeeded") {
      throw new Error(`the run ended ${frame.payload.status}: ${frame.payload.error?.code}`);
    }
  }
}

async function rawChain(client: S3Client, id: string, body: Uint8Array): Promise<void> {
  for (const [to, from] of [
    ["a", "b"],
    ["b", "a"],
  ]) {
    const Key = `raw/${to}/${from}/${id}`;
    await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: body, IfNoneMatch: "*" }));
    await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: `raw/${to}/${from}/${id}` }),
    );
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
    await Body?.transformToByteArray();
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { rounds: { type: "string", default: "100" } } });
  const rounds = Number(values.rounds);
  const running = await startS3("real");
  const folder = await mkdtemp(join(tmpdir(), "postern-bench-"));
  try {
    const { endpoint, region, accessKeyId, secretAccessKey } = running.s3;
    const client = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
      requestChecksumCalculation: "WHEN_REQUIRED",
    });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    const [hq, lab] = [parseGatewayName("hq"), parseGatewayName("lab")];
    const [hqKey, labKey] = [
      signingKeyFromSeed(systemRandom.bytes(32)),
      signingKeyFromSeed(systemRandom.bytes(32)),
    ];
    const caller = await gateway(running.s3, folder, hq, hqKey, { name: lab, key: labKey });
    const callee = await gateway(running.s3, folder, lab, labKey, { name: hq, key: hqKey });

    const body = systemRandom.bytes(1024);
    const prompt = "x".repeat(512);
    await roundTrip(caller, callee, prompt);
    await rawChain(client, "warm", body);
    const before = [caller.counts(), callee.counts()];
    const raw: number[] = [];
    const own: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      raw.push(await timed(() => rawChain(client, String(round), body)));
      own.push(await timed(() => roundTrip(caller, callee, prompt)));
    }
    const after = [caller.counts(), callee.counts()];
    const say = (line: string): boolean => process.stdout.write(`${line}\n`);
    say(`store: ${running.name}; ${rounds} rounds of each, in turn`);
    for (const operation of ["put", "list", "get", "delete"] as const) {
      const [asked, did] = [0, 1].map(
        (side) =>
          ((after[side]?.[operation].requests ?? 0) - (before[side]?.[operation].requests ?? 0)) /
          rounds,
      );
      say(`requests a run, ${operation}: caller ${asked?.toFixed(2)}, callee ${did?.toFixed(2)}`);
    }
    const ratios = own.map((ms, round) => ms / (raw[round] ?? Number.NaN));
    say(`round trip over raw chain, median of ratios: ${median(ratios).toFixed(2)}`);
    await caller.close();
    await callee.close();
    client.destroy();
  } finally {
    await running.stop();
    await rm(folder, { recursive: true });
  }
}

await main();
