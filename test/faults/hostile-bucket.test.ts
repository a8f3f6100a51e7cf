import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  DeleteObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import type { RunId } from "../../src/base/names.ts";
import { gc } from "../../src/gateway/gc.ts";
import { poll, type PollReport } from "../../src/gateway/poll.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { sending } from "../bench/asking.ts";
import {
  agents,
  newIdentity,
  openBenchGateway,
  type BenchGateway,
  type Identity,
} from "../bench/gateways.ts";
import { PatientClock } from "../support/patient-clock.ts";
import type { TestBucket } from "../support/bucket.ts";
import { hasConditionalWrites, makeBucket, s3 } from "../support/s3.ts";
import { WeakS3 } from "../support/weak-s3.ts";

const prefix = "mail";

/** `hq` and `far` ask `lab`, over a bucket that somebody else holds as well. */
describe.runIf(hasConditionalWrites)("a bucket in other hands", () => {
  let opened: AsyncDisposableStack;
  let bucket: TestBucket;
  let weak: WeakS3;
  let clock: PatientClock;
  let hq: BenchGateway;
  let far: BenchGateway;
  let lab: BenchGateway;
  let executions: Map<RunId, number>;

  beforeEach(async () => {
    opened = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "postern-hostile-"));
    opened.defer(() => rm(folder, { recursive: true }));
    bucket = opened.adopt(await makeBucket(), ({ remove }) => remove());
    weak = opened.use(await WeakS3.start(s3, bucket));
    clock = new PatientClock();
    executions = new Map();
    const everybody = ["hq", "far", "lab"].map(newIdentity);
    const open = async (self: Identity): Promise<BenchGateway> =>
      opened.use(
        await openBenchGateway({
          self,
          peers: everybody.filter((peer) => peer !== self),
          store: bucket.store(prefix, { endpoint: weak.endpoint }),
          folder: join(folder, self.name),
          maxPeerRuns: 2,
          clock,
        }),
      );
    const gateways = [];
    for (const identity of everybody) gateways.push(await open(identity));
    const [first, second, third] = gateways;
    if (first === undefined || second === undefined || third === undefined) throw new Error("?");
    [hq, far, lab] = [first, second, third];
  });
  afterEach(() => opened.disposeAsync());

  const handler: Handler = {
    run: ({ runId }) => {
      executions.set(runId, (executions.get(runId) ?? 0) + 1);
      return Promise.resolve({ result: runId });
    },
  };
  const pass = ({ mailbox }: BenchGateway): Promise<PollReport> => poll(mailbox, agents(handler));
  const asks = async (caller: BenchGateway): Promise<OutboxRecord> =>
    (await sending(caller, lab.mailbox.self)).record;
  const stateOf = async ({ runId }: OutboxRecord, caller = hq): Promise<string | undefined> =>
    (await caller.mailbox.state.outboxRecord(runId))?.state;
  const runs = ({ runId }: OutboxRecord): number => executions.get(runId) ?? 0;
  const quarantined = async () =>
    (await lab.mailbox.state.quarantined({ limit: 100 })).map(({ code }) => code);
  /** What the holder of the bucket does to one key: by another client, past the gateways. */
  const remove = async (key: string): Promise<void> => {
    const place = { Bucket: bucket.name, Key: `${prefix}/${key}` };
    await bucket.client.send(new DeleteObjectCommand(place));
  };
  const plant = async (
    key: string,
    Body: Uint8Array,
    labels: Partial<PutObjectCommandInput> = {},
  ): Promise<void> => {
    const place = { Bucket: bucket.name, Key: `${prefix}/${key}` };
    await bucket.client.send(new PutObjectCommand({ ...labels, ...place, Body }));
  };
  const read = async (key: string): Promise<Buffer> => {
    const bytes = await bucket.read(`${prefix}/${key}`);
    if (bytes === undefined) throw new Error(`${key} is not there`);
    return bytes;
  };
  const below = async (folder: string): Promise<string[]> =>
    (await hq.mailbox.store.list({ prefix: folder, limit: 1000 })).entries.map(({ key }) => key);
  const onlyBelow = async (folder: string): Promise<string> => {
    const [key, ...others] = await below(folder);
    if (key === undefined || others.length > 0) throw new Error(`not one object below ${folder}`);
    return key;
  };

  type Spoil = (key: string, bytes: Buffer) => Promise<void>;
  const flipped = (bytes: Buffer): Buffer => {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
    return changed;
  };
  const spoils: [string, Spoil][] = [
    ["truncated", (key, bytes) => plant(key, bytes.subarray(0, bytes.length / 2))],
    ["emptied", (key) => plant(key, Buffer.alloc(0))],
    ["changed by a bit", (key, bytes) => plant(key, flipped(bytes))],
    ["oversized", (key, bytes) => plant(key, Buffer.concat([bytes, Buffer.alloc(2 ** 21)]))],
    ["gzip-encoded", (key, bytes) => plant(key, gzipSync(bytes), { ContentEncoding: "gzip" })],
    ["labelled as gzip", (key, bytes) => plant(key, bytes, { ContentEncoding: "gzip" })],
  ];

  it.each(spoils)(
    "a request that was %s never runs, keeps nobody waiting, and runs once when it is sent again",
    async (_what, spoil) => {
      const record = await asks(hq);
      await spoil(record.key, await read(record.key));
      const other = await asks(far);
      expect(await pass(lab)).toMatchObject({ admitted: 1, quarantined: 1 });
      expect([runs(record), runs(other)]).toEqual([0, 1]);
      // What is too large or encoded lies there until somebody takes it away.
      await remove(record.key);
      clock.advance(limits.resendMs + 1000);
      await pass(hq);
      await pass(lab);
      await pass(hq);
      expect([runs(record), await stateOf(record)]).toEqual([1, "closed"]);
    },
  );

  it.each(spoils)(
    "an answer that was %s counts as absent, and as itself once it is back",
    async (_what, spoil) => {
      const record = await asks(hq);
      await pass(lab);
      const key = await onlyBelow("hq/frames/");
      const bytes = await read(key);
      await spoil(key, bytes);
      const other = await asks(hq);
      await pass(lab);
      await pass(hq);
      expect([await stateOf(record), await stateOf(other)]).toEqual(["open", "closed"]);
      await plant(key, bytes);
      await pass(hq);
      expect([await stateOf(record), runs(record)]).toEqual(["closed", 1]);
    },
  );

  it.each([
    ["a request", "lab/inbox/hq/"],
    ["an answer", "hq/frames/lab/"],
  ])("%s with labels that say something else is what its bytes are", async (what, folder) => {
    const record = await asks(hq);
    if (what === "an answer") await pass(lab);
    const key = await onlyBelow(folder);
    await plant(key, await read(key), {
      ContentType: "text/html; charset=utf-16",
      ContentLanguage: "xx",
      ContentDisposition: 'attachment; filename="x"',
      CacheControl: "no-store",
      Metadata: { "run-id": "another", sender: "far" },
    });
    await pass(lab);
    await pass(hq);
    expect([runs(record), await stateOf(record)]).toEqual([1, "closed"]);
  });

  it("a request that is hidden is sent again and runs once; hidden answers are said again", async () => {
    const record = await asks(hq);
    await remove(record.key);
    await pass(lab);
    expect(runs(record)).toBe(0);
    clock.advance(limits.resendMs + 1000);
    await pass(hq);
    await pass(lab);
    await remove(await onlyBelow("hq/frames/"));
    clock.advance(limits.resendMs + 1000);
    await pass(hq);
    await pass(lab);
    await pass(hq);
    expect([runs(record), await stateOf(record)]).toEqual([1, "closed"]);
  });

  it("a request that is replayed once it was answered, or under another's name, runs no second time", async () => {
    const record = await asks(hq);
    const bytes = await read(record.key);
    await pass(lab);
    await pass(hq);
    await plant(record.key, bytes);
    await plant(record.key.replace("/hq/", "/far/"), bytes);
    await plant(record.key.replace("lab/inbox/hq", "far/inbox/hq"), bytes);
    for (const gateway of [lab, far, hq]) await pass(gateway);
    expect([...executions]).toEqual([[record.runId, 1]]);
    expect(await below("lab/inbox/")).toEqual([]);
    expect(await quarantined()).toEqual(["SIGNATURE_INVALID"]);
  });

  it("requests that are swapped run neither of them, and answers that are swapped close neither", async () => {
    const [one, two] = [await asks(hq), await asks(hq)];
    const swap = async (a: string, b: string): Promise<void> => {
      const [first, second] = [await read(a), await read(b)];
      await plant(a, second);
      await plant(b, first);
    };
    await swap(one.key, two.key);
    await pass(lab);
    expect([executions.size, await quarantined()]).toEqual([
      0,
      ["SIGNATURE_INVALID", "SIGNATURE_INVALID"],
    ]);
    clock.advance(limits.resendMs + 1000);
    await pass(hq);
    await pass(lab);
    const [a = "", b = ""] = await below("hq/frames/");
    await swap(a, b);
    await pass(hq);
    expect([await stateOf(one), await stateOf(two)]).toEqual(["open", "open"]);
    await swap(a, b);
    await pass(hq);
    expect([await stateOf(one), await stateOf(two)]).toEqual(["closed", "closed"]);
  });

  it("an answer that is brought back after it was read changes nothing, and is swept", async () => {
    const record = await asks(hq);
    await pass(lab);
    const key = await onlyBelow("hq/frames/");
    const bytes = await read(key);
    await pass(hq);
    const before = await hq.mailbox.state.outboxRecord(record.runId);
    await plant(key, bytes);
    await pass(hq);
    expect(await hq.mailbox.state.outboxRecord(record.runId)).toEqual(before);
    await gc(hq.mailbox, { sweepTemporaries: async () => 0 });
    expect(await below("hq/frames/")).toEqual([]);
  });

  it("a cancel under another run's name stops nothing", async () => {
    const [one, two] = [await asks(hq), await asks(hq)];
    await cancelRun(hq.mailbox, one.runId);
    const cancel = (await below("lab/inbox/hq/")).find(
      (key) => parseObjectKey(key)?.kind === "cancel",
    );
    if (cancel === undefined) throw new Error("there is no cancel");
    const bytes = await read(cancel);
    await remove(cancel);
    const digest16 = two.requestDigest.slice(0, 16);
    await plant(`lab/inbox/hq/${two.runId}.${digest16}.cancel`, bytes);
    await pass(lab);
    expect([runs(one), runs(two)]).toEqual([1, 1]);
  });

  it.each([
    [403, "AccessDenied"],
    [403, "RequestTimeTooSkewed"],
    [404, "NoSuchBucket"],
    [500, "InternalError"],
    [503, "SlowDown"],
  ])(
    "a key that answers %i %s is waited for, and keeps nobody else waiting",
    async (status, code) => {
      const record = await asks(hq);
      weak.weaknesses = {
        says: ({ method, key = "" }) =>
          method === "GET" && key.includes(record.runId) ? { status, code } : undefined,
      };
      const beside = await asks(hq);
      const other = await asks(far);
      const { admitted, problems } = await pass(lab);
      const expected = code === "AccessDenied" ? "STORE_DENIED" : "STORE_FAILED";
      expect([admitted, new Set(problems.map((problem) => problem.code))]).toEqual([
        2,
        new Set([expected]),
      ]);
      await pass(hq);
      await pass(far);
      expect([await stateOf(beside), await stateOf(other, far)]).toEqual(["closed", "closed"]);
      weak.weaknesses = {};
      await pass(lab);
      await pass(hq);
      expect([runs(record), await stateOf(record)]).toEqual([1, "closed"]);
    },
  );

  it("a flood of one peer's requests keeps no other peer's waiting for a second pass", async () => {
    for (let batch = 0; batch < 10; batch += 1)
      await Promise.all(Array.from({ length: 20 }, () => asks(far)));
    const record = await asks(hq);
    await poll(lab.mailbox, { ...agents(handler), maxRuns: 4 });
    await pass(hq);
    expect(await stateOf(record)).toBe("closed");
  });

  it(
    "ten thousand junk names cost a pass some listings more, and keep nobody waiting",
    { timeout: 300_000 },
    async () => {
      const record = await asks(hq);
      await pass(lab);
      const names = Array.from({ length: 10_000 }, (_, number) => `x${number}`);
      const plantAll = async (): Promise<void> => {
        for (let name = names.pop(); name !== undefined; name = names.pop())
          await plant(`lab/inbox/${name}/junk`, Buffer.from("junk"));
      };
      await Promise.all(Array.from({ length: 32 }, plantAll));
      for (let passes = 0; passes < 2; passes += 1) {
        const other = await asks(hq);
        weak.takeAsked();
        await pass(lab);
        const asked = weak.takeAsked();
        const listings = asked.filter(({ key }) => key === undefined);
        expect(listings.length).toBeLessThan(40);
        expect(asked.length - listings.length).toBeLessThan(10);
        await pass(hq);
        expect(await stateOf(other)).toBe("closed");
      }
      expect(await stateOf(record)).toBe("closed");
      expect(new Set(await quarantined())).toEqual(new Set(["KEY_NAME_UNKNOWN"]));
    },
  );
});
