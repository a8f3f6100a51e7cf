import { inject } from "vitest";
import { environmentOf, makeBucketAt, type TestBucket } from "./bucket.ts";
import type { S3UnderTest } from "./s3-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    s3: S3UnderTest;
  }
}

export type { TestBucket } from "./bucket.ts";

/** The S3 of this test run (see `global-setup.ts`). */
export const s3 = inject("s3");

/** Whether `If-None-Match` holds on it: tests of conditional writes run on nothing less. */
export const hasConditionalWrites = s3.kind !== "emulator";

/** The credentials of this test run's S3, for programs that a test starts. */
export const s3Environment = environmentOf(s3);

/** A bucket of its own for one test. */
export function makeBucket(at: S3UnderTest = s3): Promise<TestBucket> {
  return makeBucketAt(at);
}
