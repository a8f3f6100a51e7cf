import { isJsonValue, type JsonValue } from "../../src/protocol/fields.ts";

/** What an agent of the contract does, whatever kind it is of; it reads this from its prompt. */
export interface Script {
  /** Pieces of a plain answer, or values: a line, or a yield, for each. */
  readonly says?: readonly JsonValue[];
  /** Bytes that follow, in base64, as they are. */
  readonly bytes?: string;
  /** The result, or `request`: the request itself as the agent got it. */
  readonly result?: JsonValue;
  readonly tells?: "request";
  /** What it does instead of ending well. */
  readonly ends?: "fail" | "break" | "hang" | "flood";
}

/** What no caller may ever be told. */
export const secret = "the agent's own business";

/** What a flood is made of. */
export const drop: JsonValue = { event: "textDelta", payload: { text: "x".repeat(1000) } };

/** The script in the prompt of a request. */
export function scriptOf(request: unknown): Script {
  const script: unknown = JSON.parse(String(fieldOf(fieldOf(request, "prompt"), "text")));
  if (isScript(script)) return script;
  throw new Error("the prompt is no script");
}

export function resultOf({ result, tells }: Script, request: unknown): JsonValue | undefined {
  return tells === "request" && isJsonValue(request) ? request : result;
}

/** What an agent puts out that is read as bytes. */
export function bytesOf(script: Script, request: unknown, output: string): Uint8Array {
  const { says = [], bytes = "" } = script;
  const result = resultOf(script, request);
  const values = result === undefined ? says : [...says, { result }];
  const text =
    output === "text" ? says.map(String).join("") : values.map((value) => lineOf(value)).join("");
  return Buffer.concat([Buffer.from(text), Buffer.from(bytes, "base64")]);
}

export function lineOf(value: JsonValue): string {
  return `${JSON.stringify(value)}\n`;
}

function isScript(value: unknown): value is Script {
  return typeof value === "object" && value !== null;
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}
