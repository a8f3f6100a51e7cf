import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { parseStoreUrl, type S3StoreUrl } from "../../src/store/open.ts";
import { S3Store } from "../../src/store/s3.ts";
import type { S3UnderTest } from "./s3-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    s3: S3UnderTest;
  }
}

/** The S3 of this test run (see `global-setup.ts`). */
export const s3 = inject("s3");

/** Whether `If-None-Match` holds on it: tests of conditional writes run on nothing less. */
export const hasConditionalWrites = s3.kind !== "emulator";

/** The credentials as the AWS chain reads them, for programs that a test starts. */
export const s3Environment: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: s3.accessKeyId,
  AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
};

export interface TestBucket {
  readonly name: string;
  /** A client of the bucket that knows nothing of Postern, for what only others do. */
  readonly client: S3Client;
  /** The URL of a store in it. */
  readonly url: (prefix?: string) => string;
  readonly store: (prefix?: string) => S3Store;
  /** Removes the bucket and all that is in it. */
  readonly remove: () => Promise<void>;
}

/** A bucket of its own for one test. */
export async function makeBucket(at: S3UnderTest = s3): Promise<TestBucket> {
  const name = `postern-test-${randomUUID()}`;
  const credentials = { accessKeyId: at.accessKeyId, secretAccessKey: at.secretAccessKey };
  const client = new S3Client({
    endpoint: at.endpoint,
    region: at.region,
    forcePathStyle: true,
    credentials,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  const url = (prefix = "") => `s3://${name}/${prefix}?endpoint=${at.endpoint}&region=${at.region}`;
  return {
    name,
    client,
    url,
    store: (prefix) => new S3Store({ ...s3UrlOf(url(prefix)), credentials }),
    remove: async () => {
      // The others end with the tests.
      if (at.kind === "endpoint") await removeBucket(client, name);
      client.destroy();
    },
  };
}

function s3UrlOf(text: string): S3StoreUrl {
  const url = parseStoreUrl(text);
  if (url.kind !== "s3") throw new Error(`${text} is no bucket's URL`);
  return url;
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
