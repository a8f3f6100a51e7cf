import path from "node:path";
import { pathToFileURL } from "node:url";
import { useS3InThisProcess } from "../cli/support/stores.ts";
import { makeBucket, s3Environment } from "../support/s3.ts";
import type { Meeting } from "./world.ts";

export const inFolders: Meeting = {
  isFolder: true,
  storeUrl: (folder) => pathToFileURL(path.join(folder, "store")).href,
  env: {},
};

export type BucketMeeting = Meeting & { readonly remove: () => Promise<void> };

/** Each world has a prefix of its own in one bucket. */
export async function inBucket(): Promise<BucketMeeting> {
  const bucket = await makeBucket();
  useS3InThisProcess();
  let worlds = 0;
  return {
    isFolder: false,
    storeUrl: () => {
      worlds += 1;
      return bucket.url(`w${worlds}`);
    },
    env: s3Environment,
    remove: () => bucket.remove(),
  };
}
