import { pino } from "pino";
import type { Logger } from "../base/log.ts";
import { writeLine } from "./note.ts";
import { safeJson } from "./output.ts";

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Structured logs: one JSON object a line on stderr, nothing unprintable in it. */
export function createLogger(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => writeLine(safeJson(line.trimEnd())) },
  );
}
