import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeBucketAt } from "../support/bucket.ts";
import { startS3 } from "../support/s3-server.ts";
import { runTool, ToolError, wholeNumber } from "../support/tool.ts";
import { soak, type Window } from "./soak.ts";
import { rowOf, soakTable } from "./table.ts";

const usage = `npm run soak -- [--minutes N] [--calls N] [--faults PERCENT] [--seed N]
three gateways on the first real S3 there is, for 10 minutes or 100,000 calls unless told, 1 % of requests in trouble
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "10" },
      calls: { type: "string", default: "100000" },
      faults: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const minutes = wholeNumber("--minutes", values.minutes, 1);
  const maxCalls = wholeNumber("--calls", values.calls, 1);
  const percent = wholeNumber("--faults", values.faults);
  const seed = wholeNumber("--seed", values.seed);
  if (percent > 100) throw new ToolError(`--faults is ${percent}: 100 percent are all of them`);
  await using opened = new AsyncDisposableStack();
  const { s3 } = opened.adopt(await startS3("real"), (running) => running.stop());
  const bucket = opened.adopt(await makeBucketAt(s3), ({ remove }) => remove());
  const folder = opened.adopt(await mkdtemp(join(tmpdir(), "postern-soak-")), (path) =>
    rm(path, { recursive: true, force: true }),
  );
  const onWindow = (window: Window): void => {
    process.stderr.write(`${rowOf(window).join("  ")}\n`);
  };
  const { windows, last, faults, ranAgain, left } = await soak({
    s3,
    bucket,
    folder,
    maxMs: minutes * 60_000,
    maxCalls,
    windows: 12,
    faultRate: percent / 100,
    seed,
    onWindow,
  });
  process.stdout.write(soakTable(windows));
  const wrong = last.reduce(
    (all, report) => all + report.wrong + report.unanswered + report.open,
    0,
  );
  process.stdout.write(
    `${faults} faults, ${wrong} calls unanswered, ${ranAgain} run again, ${left.length} objects left\n`,
  );
  return wrong + ranAgain + left.length === 0 ? 0 : 1;
}

await runTool(usage, main);
