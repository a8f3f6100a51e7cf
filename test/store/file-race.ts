import { createHash } from "node:crypto";
import type { ObjectKey } from "../../src/base/names.ts";
import { keyOf } from "../support/store-key.ts";

export const raceNames = 300;

/** The names that all racers put, in several folders. */
export function raceKeys(): ObjectKey[] {
  return Array.from({ length: raceNames }, (_, index) => keyOf(`race/${index % 7}/name-${index}`));
}

const filler = "x".repeat(32 * 1024);

/** An object that says who wrote it under which name, and can be seen to be whole. */
export function raceObject(key: string, racer: string): Uint8Array {
  const text = JSON.stringify({ key, racer, filler });
  return Buffer.from(text + digestOf(text));
}

/** The racer that wrote the object; throws for one that is torn or lies under another name. */
export function writerOf(key: string, bytes: Uint8Array): string {
  const all = Buffer.from(bytes).toString();
  const text = all.slice(0, -64);
  if (digestOf(text) !== all.slice(-64)) throw new Error(`the object ${key} is torn`);
  const object: unknown = JSON.parse(text);
  if (typeof object !== "object" || object === null) throw new Error(`${key} holds no object`);
  if (!("key" in object) || object.key !== key)
    throw new Error(`${key} holds another name's object`);
  if (!("racer" in object) || typeof object.racer !== "string")
    throw new Error(`${key} names no writer`);
  return object.racer;
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
