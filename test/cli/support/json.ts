/** A line of JSON, as what it is: not yet known. */
export function parsed(line: string): unknown {
  return JSON.parse(line);
}

/** A field of a value, or undefined where there is none. */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

/** A field that is a text; empty where there is none. */
export function textOf(value: unknown, name: string): string {
  const field = fieldOf(value, name);
  return typeof field === "string" ? field : "";
}

export function itemsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`it is no array: ${JSON.stringify(value)}`);
}
