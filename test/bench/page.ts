import { availableParallelism } from "node:os";
import type { RunningS3, S3Kind } from "../support/s3-server.ts";
import type { Found, Table } from "./benchmark.ts";

const stores: Readonly<Record<S3Kind, string>> = {
  endpoint: "an S3 endpoint that was given",
  docker: "MinIO in a container on the same machine",
  program: "MinIO on the same machine",
  emulator: "an emulator of S3",
};

/** Where it was measured, in words that fit any machine of its class. */
export function machineText({ kind }: RunningS3["s3"]): string {
  return `${availableParallelism()} cores (${process.arch}), Node ${process.versions.node}, driver s3 on ${stores[kind]}`;
}

/** The whole of docs/benchmarks.md. */
export function pageOf(machine: string, found: readonly Found[]): string {
  const head = `# What Postern costs

Only ratios within one run mean anything: each thing is measured in turn with the bare work it is compared
with, round by round, and a ratio is taken within each round. Given are the median of all rounds and where
the lowest and the highest tenth of them begin. Times and rates beside them only say what was divided.

Measured with ${machine}. This page is written by the benchmarks themselves:

\`\`\`sh
npm run bench -- --write   # all of them, and this page anew
npm run bench -- --only latency --rounds 50
npm run bench -- --quick   # less of everything
\`\`\`

They take the first real S3 that the tests would take (see CONTRIBUTING.md).
`;
  return [head, ...found.map(sectionOf)].join("\n");
}

/** One benchmark's part of the page. */
export function sectionOf({ title, about, tables }: Found): string {
  return [`## ${title}\n`, wrapped(about), tables.map(tableText).join("\n")].join("\n");
}

/** A table of Markdown as its formatter leaves it, which reads well as plain text, too. */
export function tableText({ columns, rows }: Table): string {
  const widths = columns.map((_, place) =>
    Math.max(3, ...[columns, ...rows].map((cells) => cells[place]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => {
    const padded = widths.map((width, place) => {
      const cell = cells[place] ?? "";
      return place === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(" | ")} |\n`;
  };
  const rule = widths.map((width, place) =>
    place === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [columns, rule, ...rows].map(line).join("");
}

function wrapped(text: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > 110) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line, ""].join("\n");
}
