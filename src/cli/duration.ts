import { custom } from "@oclif/core/flags";
import { PosternError } from "../base/errors.ts";

const unitMs: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** A hundred years: beyond it, sums of times would no longer be sound dates. */
const longestMs = 36_525 * 86_400_000;

/** Milliseconds of a time like `500ms`, `60s`, `2m`, `24h` or `7d`. Throws `USAGE`. */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^([0-9]{1,15})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(digits) * (unitMs.get(unit ?? "") ?? Number.NaN);
  if (ms > 0 && ms <= longestMs) return ms;
  const shapes = "write a whole number above 0 and a unit, as in 500ms, 60s, 2m, 24h or 7d";
  throw new PosternError("USAGE", `${JSON.stringify(text)} is no length of time: ${shapes}`);
}

/** The same for people: the largest unit that leaves a whole number. */
export function formatDuration(ms: number): string {
  const fitting = [...unitMs].toReversed().find(([, unit]) => ms >= unit && ms % unit === 0);
  return fitting === undefined ? `${ms}ms` : `${ms / fitting[1]}${fitting[0]}`;
}

/** For people who want to know how old something is: whole units of the largest that fits, rounded down. */
export function roughDuration(ms: number): string {
  const [name, unit] = [...unitMs].findLast(([, size]) => ms >= size) ?? ["s", 1000];
  return `${Math.floor(ms / unit)}${name}`;
}

/** A flag whose value is a length of time, in milliseconds. */
export const duration = custom<number>({
  helpValue: "TIME",
  parse: async (text) => parseDuration(text),
});
