import { readFileSync } from "node:fs";
import { Session, type Profiler } from "node:inspector/promises";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";

/** What a simulation must have been through: admission, start, ending, takeover, closing and collection. */
const coveredFiles = [
  ...[
    "admission.ts",
    "admit.ts",
    "cancel.ts",
    "grants.ts",
    "lease.ts",
    "start.ts",
    "end.ts",
    "take-over.ts",
    "follow.ts",
    "frame-reader.ts",
    "sweep.ts",
  ].map((file) => `src/mailbox/${file}`),
  "src/gateway/gc.ts",
  "src/state/collect.ts",
];

export interface FileCoverage {
  readonly file: string;
  readonly lines: number;
  /** Numbers of the lines that nothing ran. */
  readonly missed: readonly number[];
}

/** Counts what runs from now on, in modules that are loaded from now on. */
export async function startCoverage(): Promise<() => Promise<FileCoverage[]>> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: false, detailed: true });
  return async () => {
    const { result } = await session.post("Profiler.takePreciseCoverage");
    session.disconnect();
    return coveredFiles.map((file) => coverageOf(file, result));
  };
}

function coverageOf(file: string, scripts: readonly Profiler.ScriptCoverage[]): FileCoverage {
  const url = new URL(`../../${file}`, import.meta.url).href;
  const script = scripts.find((candidate) => candidate.url === url);
  if (script === undefined) throw new Error(`${file} was never loaded`);
  // Types are replaced by blanks, so positions stay and what is left is what can run.
  const code = stripTypeScriptTypes(readFileSync(fileURLToPath(url), "utf8"));
  const ranges = script.functions.flatMap((covered) => covered.ranges);
  let offset = 0;
  let lines = 0;
  const missed: number[] = [];
  for (const [index, line] of code.split("\n").entries()) {
    const start = offset + (line.length - line.trimStart().length);
    offset += line.length + 1;
    if (!isCode(line)) continue;
    lines += 1;
    if (!runs(start, ranges)) missed.push(index + 1);
  }
  return { file, lines, missed };
}

function isCode(line: string): boolean {
  const text = line.trim();
  return text !== "" && !/^(?:\/\/|\/?\*|import |[\])}>;,]+$)/.test(text);
}

/** The smallest range around a position says whether it ran. */
function runs(position: number, ranges: readonly Profiler.CoverageRange[]): boolean {
  let smallest: Profiler.CoverageRange | undefined;
  for (const range of ranges) {
    if (range.startOffset > position || range.endOffset <= position) continue;
    const size = range.endOffset - range.startOffset;
    if (smallest === undefined || size <= smallest.endOffset - smallest.startOffset)
      smallest = range;
  }
  return smallest !== undefined && smallest.count > 0;
}
