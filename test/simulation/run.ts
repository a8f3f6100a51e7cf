import { parseArgs } from "node:util";
import { startCoverage } from "./coverage.ts";

const usage = `npm run simulate -- --seed N              one seed: its trace
npm run simulate -- --seeds M [--from N]  M seeds: one closing line
                    [--coverage]          and what of admission, ending and takeover they ran through
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      coverage: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || (values.seed === undefined && values.seeds === undefined))
    return say(usage, values.help ? 0 : 2);
  const stopCoverage = values.coverage ? await startCoverage() : undefined;
  // Loaded only now, so that coverage sees it from the start.
  const { simulate, simulateMany } = await import("./simulate.ts");
  if (values.seed !== undefined) {
    const { trace, violations } = await simulate(Number(values.seed));
    return say(
      `${trace.join("\n")}\n${violations.length} violations\n`,
      violations.length === 0 ? 0 : 1,
    );
  }

  const many = await simulateMany(Number(values.from), Number(values.seeds));
  const files = (await stopCoverage?.()) ?? [];
  for (const { file, lines, covered, missed } of files) {
    const rest = missed.length === 0 ? "" : `, not line ${missed.join(", ")}`;
    say(`${file}: ${((100 * covered) / lines).toFixed(1)} % of ${lines} lines${rest}\n`, 0);
  }
  if (files.length > 0) {
    const lines = files.reduce((sum, file) => sum + file.lines, 0);
    const covered = files.reduce((sum, file) => sum + file.covered, 0);
    say(`altogether: ${((100 * covered) / lines).toFixed(1)} % of ${lines} lines\n`, 0);
  }
  if (many.broken !== undefined) {
    const { seed, violations } = many.broken;
    return say(
      `${violations.join("\n")}\nseed ${seed} breaks a promise: npm run simulate -- --seed ${seed}\n`,
      1,
    );
  }
  return say(
    `${many.seeds} seeds, ${many.starts} starts, ${many.terminals} terminals, 0 violations\n`,
    0,
  );
}

function say(text: string, status: number): number {
  process.stdout.write(text);
  return status;
}

process.exitCode = await main();
