import type { JsonValue } from "../../protocol/fields.ts";
import { terminalStatuses, type TerminalPayload } from "../../protocol/frame.ts";

/** A terminal's payload as a column holds it. */
export function terminalText(payload: TerminalPayload): string {
  return JSON.stringify(payload);
}

/** The payload that `terminalText` wrote; undefined for anything else. */
export function terminalOf(text: string): TerminalPayload | undefined {
  const value = parsed(text);
  if (!isObject(value)) return undefined;
  const { status, result, error } = value;
  const known = terminalStatuses.find((candidate) => candidate === status);
  if (known === undefined) return undefined;
  if (error === undefined) return { status: known, ...(result === undefined ? {} : { result }) };
  if (!isObject(error)) return undefined;
  const { code, message } = error;
  if (typeof code !== "string" || typeof message !== "string") return undefined;
  return { status: known, ...(result === undefined ? {} : { result }), error: { code, message } };
}

function parsed(text: string): JsonValue | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isJson(value: unknown): value is JsonValue {
  if (value === null || ["boolean", "number", "string"].includes(typeof value)) return true;
  if (typeof value !== "object") return false;
  return Object.values(value).every(isJson);
}

function isObject(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
