import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { makeBucketAt } from "../support/bucket.ts";
import { startS3 } from "../support/s3-server.ts";
import { runTool, ToolError, wholeNumber } from "../support/tool.ts";
import type { Found, Setting } from "./benchmark.ts";
import { benchmarks } from "./benchmarks.ts";
import { machineText, pageOf, sectionOf } from "./page.ts";

const usage = `npm run bench -- [--only NAME]... [--rounds N] [--quick]   some or all, on the first real S3 there is
npm run bench -- --write [--rounds N]                     all, and docs/benchmarks.md anew

NAME: ${benchmarks.map(({ name }) => name).join(", ")}
`;

interface Wanted {
  readonly only: readonly string[] | undefined;
  readonly rounds: number | undefined;
  readonly size: "full" | "quick";
  readonly write: boolean;
}

/** Undefined where only help is wanted. */
function wantedOf(): Wanted | undefined {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { only, quick, write } = values;
  const rounds =
    values.rounds === undefined ? undefined : wholeNumber("--rounds", values.rounds, 1);
  const unknown = only?.find((name) => !benchmarks.some((known) => known.name === name));
  if (unknown !== undefined) throw new ToolError(`there is no benchmark ${unknown}`);
  if (write && (quick || only !== undefined))
    throw new ToolError("--write writes all of the page, and nothing that was only tried");
  return { only, rounds, size: quick ? "quick" : "full", write };
}

async function main(): Promise<number> {
  const wanted = wantedOf();
  if (wanted === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  // Not once: a library's listener ends the process when no other one is left.
  const interrupted = Promise.withResolvers<number>();
  process.on("SIGINT", () => interrupted.resolve(130));
  await using opened = new AsyncDisposableStack();
  const { s3 } = opened.adopt(await startS3("real"), (running) => running.stop());
  const bucket = opened.adopt(await makeBucketAt(s3), ({ remove }) => remove());
  const folder = opened.adopt(await mkdtemp(join(tmpdir(), "postern-bench-")), (path) =>
    rm(path, { recursive: true, force: true }),
  );
  const { size, rounds } = wanted;
  return await Promise.race([
    measure({ s3, bucket, folder, size, rounds }, wanted),
    interrupted.promise,
  ]);
}

async function measure(setting: Setting, { only, write }: Wanted): Promise<number> {
  const found: Found[] = [];
  for (const benchmark of benchmarks) {
    if (only?.includes(benchmark.name) === false) continue;
    process.stderr.write(`${benchmark.name} ...\n`);
    const of = await benchmark.run(setting);
    found.push(of);
    process.stdout.write(`\n${sectionOf(of)}\n`);
  }
  if (write) await writePage(pageOf(machineText(setting.s3), found));
  return 0;
}

async function writePage(text: string): Promise<void> {
  const page = join(import.meta.dirname, "../../docs/benchmarks.md");
  await mkdir(dirname(page), { recursive: true });
  await writeFile(page, text);
}

// What was interrupted soon fails for want of a store.
await runTool(usage, main);
