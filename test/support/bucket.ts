import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  S3Client,
} from "@aws-sdk/client-s3";
import { randomUUID } from "node:crypto";
import { parseStoreUrl, type S3StoreUrl } from "../../src/store/open.ts";
import { S3Store } from "../../src/store/s3.ts";
import type { S3UnderTest } from "./s3-server.ts";

export interface TestBucket {
  readonly name: string;
  /** A client of the bucket that knows nothing of Postern, for what only others do. */
  readonly client: S3Client;
  /** The URL of a store in it. */
  readonly url: (prefix?: string) => string;
  /** An object's bytes, or undefined. */
  readonly read: (key: string) => Promise<Buffer | undefined>;
  readonly store: (prefix?: string, line?: Line) => S3Store;
  /** Removes the bucket and all that is in it. */
  readonly remove: () => Promise<void>;
}

/** Another way to the same S3 than straight. */
export interface Line {
  readonly endpoint?: string;
  readonly timeoutMs?: number;
}

/** The credentials as the AWS chain reads them. */
export function environmentOf(at: S3UnderTest): Readonly<Record<string, string>> {
  return { AWS_ACCESS_KEY_ID: at.accessKeyId, AWS_SECRET_ACCESS_KEY: at.secretAccessKey };
}

/** A new bucket, empty and of nobody else. */
export async function makeBucketAt(at: S3UnderTest): Promise<TestBucket> {
  const name = `postern-test-${randomUUID()}`;
  const client = new S3Client({
    endpoint: at.endpoint,
    region: at.region,
    forcePathStyle: true,
    credentials: credentialsOf(at),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  const url = (prefix = "") => `s3://${name}/${prefix}?endpoint=${at.endpoint}&region=${at.region}`;
  return {
    name,
    client,
    url,
    read: (key) => readFrom(client, name, key),
    store: (prefix, line) => storeIn(at, url(prefix), line),
    remove: async () => {
      // The others end with the tests.
      if (at.kind === "endpoint") await removeBucket(client, name);
      client.destroy();
    },
  };
}

/** The store at a bucket's URL, with the credentials of the S3 that the tests meet. */
function storeIn(at: S3UnderTest, url: string, line: Line = {}): S3Store {
  return new S3Store({ ...s3UrlOf(url), credentials: credentialsOf(at), ...line });
}

function credentialsOf({ accessKeyId, secretAccessKey }: S3UnderTest) {
  return { accessKeyId, secretAccessKey };
}

function s3UrlOf(text: string): S3StoreUrl {
  const url = parseStoreUrl(text);
  if (url.kind !== "s3") throw new Error(`${text} is no bucket's URL`);
  return url;
}

async function readFrom(client: S3Client, bucket: string, key: string) {
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return Body && Buffer.from(await Body.transformToByteArray());
  } catch (thrown) {
    if (thrown instanceof NoSuchKey) return undefined;
    throw thrown;
  }
}

async function removeBucket(client: S3Client, bucket: string): Promise<void> {
  for (;;) {
    const query = { Bucket: bucket, EncodingType: "url" } as const;
    const { Contents = [] } = await client.send(new ListObjectsV2Command(query));
    if (Contents.length === 0) break;
    // One by one: the names may hold what the XML of a bulk deletion cannot.
    for (const { Key: encoded = "" } of Contents) {
      const Key = decodeURIComponent(encoded.replaceAll("+", " "));
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    }
  }
  await client.send(new DeleteBucketCommand({ Bucket: bucket }));
}
