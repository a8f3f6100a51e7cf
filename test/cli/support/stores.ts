import { pathToFileURL } from "node:url";
import path from "node:path";
import { hasConditionalWrites, makeBucket, s3Environment } from "../../support/s3.ts";
import { Pair } from "./pair.ts";

/** Where a pair may meet, and how it is made there. */
export interface Meeting {
  readonly where: string;
  readonly skip: boolean;
  readonly makePair: () => Promise<Pair>;
  readonly makePairByCommands: () => Promise<Pair>;
}

export const meetings: readonly Meeting[] = [
  {
    where: "in a folder",
    skip: false,
    makePair: pairInFolder,
    makePairByCommands: () => Pair.byCommands(folderUrl),
  },
  {
    where: "on real S3",
    skip: !hasConditionalWrites,
    makePair: async () => Pair.make(await bucketUrl(), s3Environment),
    makePairByCommands: async () => Pair.byCommands(await bucketUrl(), s3Environment),
  },
];

export function pairInFolder(): Promise<Pair> {
  return Pair.make(folderUrl);
}

function folderUrl(folder: string): string {
  return pathToFileURL(path.join(folder, "store")).href;
}

async function bucketUrl(): Promise<() => string> {
  const bucket = await makeBucket();
  useS3InThisProcess();
  return () => bucket.url("mail");
}

/** What a test does in the store by itself takes its credentials from where the program does. */
export function useS3InThisProcess(): void {
  Object.assign(process.env, s3Environment);
}
