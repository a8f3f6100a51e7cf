import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";
import { toBase64Url } from "../../src/base/bytes.ts";
import { environmentOf } from "../support/bucket.ts";
import type { Setting } from "./benchmark.ts";
import type { Identity } from "./gateways.ts";

/** What each peer is granted at once. */
export const maxPeerRuns = 2;
/** A pass admits so much: otherwise it would go on for as long as anything waits. */
export const maxRunsOfPass = 8;

const passCostSchema = z.object({
  ms: z.number(),
  requests: z.object({ put: z.number(), list: z.number(), get: z.number(), delete: z.number() }),
  /** The most memory that the process has had so far. */
  peakBytes: z.number(),
});
export type PassCost = z.output<typeof passCostSchema>;

/** A callee in a process of its own (see `flood-child.ts`). */
export class Callee implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  /** `identities` are its own, and then those of its peers. */
  constructor({ s3, bucket, folder }: Setting, prefix: string, identities: readonly Identity[]) {
    const program = join(import.meta.dirname, "flood-child.ts");
    const names = identities.map(({ name, seed }) => `${name}=${toBase64Url(seed)}`);
    const args = [program, bucket.url(prefix), join(folder, prefix, "callee"), ...names];
    this.#child = spawn(process.execPath, args, {
      env: { ...process.env, ...environmentOf(s3) },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async pass(): Promise<PassCost> {
    this.#child.stdin.write("pass\n");
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the callee of the flood has ended early");
    return passCostSchema.parse(JSON.parse(value));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.stdin.end();
    await exit;
  }
}
