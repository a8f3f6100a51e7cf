import { safeText } from "./output.ts";

/** A record for people: exactly one line for each field that says something, under its own name. */
export function fieldLines(record: object): string {
  const fields = Object.entries(record).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  const width = Math.max(0, ...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${shown(value)}`).join("\n");
}

function shown(value: unknown): string {
  return safeText(typeof value === "string" ? value : JSON.stringify(value));
}
