import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openStore, parseStoreUrl } from "../../src/store/open.ts";
import { retryStore } from "../../src/store/retry.ts";
import { storeContract } from "../contract/store-contract.ts";
import { keyOf } from "../support/store-key.ts";
import { rejection, rejectionCode } from "../support/rejection.ts";
import {
  hasConditionalWrites,
  makeBucket,
  s3,
  s3Environment,
  type TestBucket,
} from "../support/s3.ts";

const maxBytes = 1000;

describe.runIf(hasConditionalWrites)(`on real S3 (${s3.kind})`, () => {
  storeContract("a bucket", {
    open: async () => {
      const bucket = await makeBucket();
      return { store: bucket.store(), remove: bucket.remove };
    },
    runs: 10,
  });

  storeContract("a prefix in a bucket, under retries", {
    open: async () => {
      const bucket = await makeBucket();
      // What other stores in the same bucket hold is none of this one's.
      await bucket.store("some").put(keyOf("other/key"), utf8("x"));
      await bucket.store("some/prefix-2").put(keyOf("key"), utf8("x"));
      const store = retryStore(bucket.store("some/prefix"), {
        clock: systemClock,
        random: systemRandom,
      });
      return { store, remove: bucket.remove };
    },
    runs: 10,
  });
});

describe.runIf(hasConditionalWrites)(`a bucket on real S3 (${s3.kind})`, () => {
  let bucket: TestBucket | undefined;
  const fresh = async () => {
    bucket = await makeBucket();
    return bucket;
  };

  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.useRealTimers();
    await bucket?.remove();
    bucket = undefined;
  });

  const stubCredentials = (environment: Readonly<Record<string, string | undefined>>) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    vi.stubEnv("AWS_CONFIG_FILE", "/nonexistent");
  };
  const open = (url: string) =>
    openStore(parseStoreUrl(url), { clock: systemClock, random: systemRandom });

  it("is opened by its URL with credentials from the environment", async () => {
    stubCredentials(s3Environment);
    const store = await open((await fresh()).url("a/prefix"));
    expect(await store.put(keyOf("k"), utf8("v"))).toBe("created");
    expect(store.capabilities).toMatchObject({ driver: "s3", atomicPut: "probe" });
    expect(store.capabilities.location).not.toContain(s3.secretAccessKey);
    await store.close();
  });

  it("without credentials is STORE_DENIED, and says what to set", async () => {
    stubCredentials({ AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined });
    const store = await open((await fresh()).url());
    const failure = await rejection(store.get(keyOf("k"), { maxBytes }));
    expect(failure?.code).toBe("STORE_DENIED");
    expect(failure?.message).toContain("AWS_ACCESS_KEY_ID");
    await store.close();
  });

  it.each([
    { what: "a wrong key", environment: { ...s3Environment, AWS_ACCESS_KEY_ID: "nobody" } },
    {
      what: "a wrong secret",
      environment: { ...s3Environment, AWS_SECRET_ACCESS_KEY: "hush-hush" },
    },
  ])("with $what is STORE_DENIED, and the message keeps the secret", async ({ environment }) => {
    stubCredentials(environment);
    const store = await open((await fresh()).url());
    for (const call of [
      () => store.get(keyOf("k"), { maxBytes }),
      () => store.put(keyOf("k"), utf8("v")),
      () => store.list({ prefix: "", limit: 1 }),
      () => store.delete(keyOf("k")),
    ]) {
      const failure = await rejection(call());
      expect(failure?.code).toBe("STORE_DENIED");
      expect(`${failure?.message} ${JSON.stringify(failure?.cause)}`).not.toContain("hush-hush");
    }
    await store.close();
  });

  it("that does not exist is STORE_MISSING", async () => {
    stubCredentials(s3Environment);
    const { url, name } = await fresh();
    const store = await open(url().replace(name, "postern-no-such-bucket"));
    expect(await rejectionCode(store.get(keyOf("k"), { maxBytes }))).toBe("STORE_MISSING");
    expect(await rejectionCode(store.put(keyOf("k"), utf8("v")))).toBe("STORE_MISSING");
    expect(await rejectionCode(store.list({ prefix: "", limit: 1 }))).toBe("STORE_MISSING");
    expect(await rejectionCode(store.delete(keyOf("k")))).toBe("STORE_MISSING");
    await store.close();
  });

  it("met with a clock that is an hour off is STORE_CLOCK_SKEW, every time", async () => {
    const store = (await fresh()).store();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    for (let call = 0; call < 3; call++) {
      expect(await rejectionCode(store.list({ prefix: "", limit: 1 }))).toBe("STORE_CLOCK_SKEW");
    }
    await store.close();
  });

  it("refuses an object with a content encoding: STORE_ENCODING", async () => {
    const { client, name, store: storeOf } = await fresh();
    const store = storeOf();
    const object = { Bucket: name, Key: "k", Body: "x", ContentEncoding: "gzip" };
    await client.send(new PutObjectCommand(object));
    expect(await rejectionCode(store.get(keyOf("k"), { maxBytes }))).toBe("STORE_ENCODING");
    await store.close();
  });

  it("lists whatever names others made, with their own characters", async () => {
    const { client, name, store: storeOf } = await fresh();
    const names = [
      "in/a\u0001b",
      "in/line\nbreak",
      "in/ tab\t",
      "in/\u001b[31mred",
      "in/%0A+ +",
      "in/.hidden",
    ];
    for (const key of names) {
      await client.send(new PutObjectCommand({ Bucket: name, Key: key, Body: "x" }));
    }
    const store = storeOf();
    const listed = [];
    for (let startAfter = ""; ;) {
      const { entries, more } = await store.list({ prefix: "in/", startAfter, limit: 1 });
      listed.push(...entries.map(({ key }) => key));
      if (!more) break;
      startAfter = listed.at(-1) ?? "";
    }
    expect(listed).toEqual(names.toSorted());
    await store.close();
  });

  it("does not read an object of 100 MB: it is too large at once", async () => {
    const { client, name, store: storeOf } = await fresh();
    const Body = Buffer.alloc(100 * 1024 * 1024);
    await client.send(new PutObjectCommand({ Bucket: name, Key: "k", Body }));
    const store = storeOf();
    expect(await store.get(keyOf("k"), { maxBytes })).toEqual({
      status: "too-large",
      size: Body.length,
    });
    await store.close();
  });
});
