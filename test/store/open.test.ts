import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { PosternError } from "../../src/base/errors.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openStore, parseStoreUrl } from "../../src/store/open.ts";
import { rejectionCode } from "../support/rejection.ts";
import { keyOf } from "../support/store-key.ts";
import { treeOf } from "../support/tree.ts";

const deps = { clock: systemClock, random: systemRandom };

describe("a store URL", () => {
  it("of a folder is an absolute path, percent-decoded", () => {
    expect(parseStoreUrl("file:///srv/post%20office")).toEqual({
      kind: "file",
      folder: "/srv/post office",
      location: "file:///srv/post%20office",
    });
  });

  it("of a bucket says bucket, prefix, endpoint, region and style", () => {
    const text = "s3://post/a/b?endpoint=http://host:9000&region=eu-west-1&pathStyle=false";
    expect(parseStoreUrl(text)).toEqual({
      kind: "s3",
      bucket: "post",
      prefix: "a/b",
      endpoint: "http://host:9000",
      region: "eu-west-1",
      pathStyle: false,
      location: text,
    });
  });

  it("names the bucket in the path and some region where the endpoint is not AWS's", () => {
    expect(parseStoreUrl("s3://post?endpoint=https://minio.example/")).toMatchObject({
      endpoint: "https://minio.example",
      region: "us-east-1",
      pathStyle: true,
      prefix: "",
    });
  });

  it("leaves endpoint and region to AWS where it names none", () => {
    const url = parseStoreUrl("s3://post/");
    expect(url).toEqual({
      kind: "s3",
      bucket: "post",
      prefix: "",
      pathStyle: false,
      location: "s3://post",
    });
  });

  it.each([
    "file:///srv/a%20b",
    "s3://post",
    "s3://post/a%20b/c?region=eu-west-1&pathStyle=true",
    "s3://post?endpoint=http://%5B::1%5D:9000&region=us-east-1",
    "s3://post/x?endpoint=https://host/storage/s3&region=auto&pathStyle=false",
  ])("%s has a location that means the same", (text) => {
    const url = parseStoreUrl(text);
    expect(parseStoreUrl(url.location)).toEqual(url);
  });

  it.each([
    ["", "no scheme"],
    ["/srv/folder", "no scheme"],
    ["http://host/bucket", '"http"'],
    ["memory:", '"memory"'],
    ["file:folder", "three slashes"],
    ["file://folder/x", "three slashes"],
    ["file:/folder", "three slashes"],
    ["file:///srv?x=1", "parameters"],
    ["file:///srv#x", "parameters"],
    ["file:///srv%2Fx", "path"],
    ["s3:/bucket", "two slashes"],
    ["s3:bucket", "two slashes"],
    ["s3://", "bucket name"],
    ["s3://ab", "bucket name"],
    ["s3://My_Bucket", "bucket name"],
    ["s3://localhost:9000/bucket", "?endpoint="],
    ["s3://bucket/a//b", "prefix"],
    ["s3://bucket/.hidden", "prefix"],
    ["s3://bucket/a%0Ab", "prefix"],
    ["s3://bucket/%ff", "percent-encoded"],
    ["s3://bucket#part", "fragment"],
    ["s3://bucket?endpont=http://host", '"endpont"'],
    ["s3://bucket?region=a&region=b", '"region" twice'],
    ["s3://bucket?region=", "region"],
    ["s3://bucket?pathStyle=yes", "true or false"],
    ["s3://bucket?endpoint=host:9000", "http or https"],
    ["s3://bucket?endpoint=ftp://host", "http or https"],
    ["s3://bucket?endpoint=http://host?x=1", "endpoint has parameters"],
  ])("%j is STORE_URL_INVALID, and the message says why", (text, why) => {
    expect(() => parseStoreUrl(text)).toThrow(
      expect.objectContaining({ code: "STORE_URL_INVALID", message: expect.stringContaining(why) }),
    );
  });

  it.each([
    "s3://AKIA:hush-hush@bucket",
    "s3://hush-hush@bucket/prefix",
    "s3://AKIA:hush/hush-hush@bucket",
    "s3://bucket?endpoint=http://AKIA:hush-hush@host",
    "s3://bucket?secretAccessKey=hush-hush",
    "https://AKIA:hush-hush@host/bucket",
    "s3://bucket?region=hush-hush%20x",
  ])("with a secret in it is refused without repeating it: %s", (text) => {
    try {
      parseStoreUrl(text);
      expect.unreachable();
    } catch (thrown) {
      if (!(thrown instanceof PosternError)) throw thrown;
      expect(thrown.code).toBe("STORE_URL_INVALID");
      expect(thrown.message).not.toContain("hush-hush");
    }
  });
});

describe("openStore", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("makes a folder store only when told to", async () => {
    const folder = await mkdtemp(join(tmpdir(), "postern-open-"));
    try {
      const url = parseStoreUrl(pathToFileURL(join(folder, "store")).href);
      expect(await rejectionCode(openStore(url, deps))).toBe("STORE_MISSING");
      const made = await openStore(url, { ...deps, create: true });
      const { id } = made.capabilities;
      if (id === undefined) throw new Error("a folder store has an id");
      const opened = await openStore(url, { ...deps, expectedId: id });
      expect(opened.capabilities).toEqual({
        driver: "file",
        location: url.location,
        atomicPut: "yes",
        id,
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("writes nothing at all where it opens a folder to be read", async () => {
    const folder = await mkdtemp(join(tmpdir(), "postern-open-"));
    try {
      const url = parseStoreUrl(pathToFileURL(folder).href);
      const made = await openStore(url, { ...deps, create: true });
      await made.put(keyOf("a/b"), utf8("x"));
      const leftOver = join(folder, ".postern-tmp", "old");
      await writeFile(leftOver, "x");
      await utimes(leftOver, 1, 1);
      const before = treeOf(folder);
      const opened = await openStore(url, { ...deps, readOnly: true });
      expect(await opened.get(keyOf("a/b"), { maxBytes: 9 })).toMatchObject({ status: "found" });
      expect((await opened.list({ prefix: "a/", limit: 9 })).entries).toHaveLength(1);
      expect(await rejectionCode(opened.put(keyOf("a/c"), utf8("x")))).toBe("STORE_READ_ONLY");
      expect(await rejectionCode(opened.delete(keyOf("a/b")))).toBe("STORE_READ_ONLY");
      await opened.close();
      expect(treeOf(folder)).toEqual(before);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("opens a bucket without asking anything of it", async () => {
    const store = await openStore(parseStoreUrl("s3://post?endpoint=http://nowhere.invalid"), deps);
    expect(store.capabilities.driver).toBe("s3");
    await store.close();
  });

  it("of a bucket without any region is STORE_URL_INVALID", async () => {
    for (const name of ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"])
      vi.stubEnv(name, undefined);
    vi.stubEnv("AWS_CONFIG_FILE", "/nonexistent");
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    expect(await rejectionCode(openStore(parseStoreUrl("s3://post"), deps))).toBe(
      "STORE_URL_INVALID",
    );
  });
});
