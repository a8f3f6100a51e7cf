import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { environmentOf } from "../support/bucket.ts";
import { roundsOf, type Benchmark, type Setting } from "./benchmark.ts";
import { inTurn, msCell, Series, spreadCells, spreadColumns, timed } from "./series.ts";

const run = promisify(execFile);
const program = join(import.meta.dirname, "../../bin/postern");

/** How long a command takes to start. */
export const start: Benchmark = {
  name: "start",
  run: async (setting) => {
    const node = await nodeIn(setting);
    const folderHome = await newHome(node, setting, "folder");
    const bucketHome = await newHome(node, setting, "bucket");
    const taking = (...args: string[]): Series => new Series(() => timed(() => node(...args)));
    const bare = taking("-e", "0");
    const commands = [
      ["postern --version", taking(program, "--version")],
      ["postern poll, idle, a folder", taking(program, "poll", "--home", folderHome)],
      ["postern poll, idle, a bucket", taking(program, "poll", "--home", bucketHome)],
    ] as const;
    await inTurn(roundsOf(setting, 20), [bare, ...commands.map(([, series]) => series)]);
    return {
      title: "Start of the command line",
      about:
        "A whole command from its start to its end, in a process of its own, beside `node -e 0`. Compiled code is cached from the second start on.",
      tables: [
        {
          columns: ["time over bare Node's", ...spreadColumns, "ms more", "ms", "bare ms"],
          rows: commands.map(([what, series]) => [
            what,
            ...spreadCells(series.over(bare)),
            series.minus(bare).median.toFixed(0),
            msCell(series.ms),
            msCell(bare.ms),
          ]),
        },
      ],
      requests: {},
    };
  },
};

type RunNode = (...args: readonly string[]) => Promise<unknown>;

/** Runs Node as a user of this machine who is here for the first time. */
async function nodeIn({ folder, s3 }: Setting): Promise<RunNode> {
  const user = join(folder, "user");
  await mkdir(user);
  const env = { PATH: process.env["PATH"], HOME: user, ...environmentOf(s3) };
  return (...args) => run(process.execPath, args, { env, cwd: user });
}

async function newHome(
  node: RunNode,
  { bucket, folder }: Setting,
  where: "folder" | "bucket",
): Promise<string> {
  const home = join(folder, `start-${where}`);
  const inFolder = pathToFileURL(join(folder, "start-store")).href;
  const store = where === "folder" ? inFolder : bucket.url("start");
  await node(program, "init", "--home", home, "--gateway", where, "--store", store);
  return home;
}
