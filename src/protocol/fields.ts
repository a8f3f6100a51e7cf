import { PosternError } from "../base/errors.ts";
import { utf8 } from "../base/bytes.ts";
import { isCborList, isCborMap, type CborMap, type CborValue } from "./cbor.ts";

/** A JSON value: what callers, handlers and tools exchange. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Whether a value that `JSON.parse` made is one: it holds nothing else. */
export function isJsonValue(value: unknown): value is JsonValue {
  if (typeof value === "object") return value === null || Object.values(value).every(isJsonValue);
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/**
 * Reads the fields of one decoded map. Every method throws `PAYLOAD_INVALID` with the field's path when the
 * field is absent or not what it should be; `where` is the path of the map itself.
 */
export class Fields {
  readonly #map: CborMap;
  readonly #where: string;

  constructor(value: CborValue | undefined, where: string) {
    if (!isCborMap(value)) throw invalid(where, "a map");
    this.#map = value;
    this.#where = where;
  }

  has(name: string): boolean {
    return this.#map.has(name);
  }

  names(): string[] {
    return [...this.#map.keys()].map(String);
  }

  text(name: string, bounds: { maxBytes: number; minBytes?: number }): string {
    const value = this.#map.get(name);
    const shape = `a text of ${bounds.minBytes ?? 0} to ${bounds.maxBytes} bytes`;
    if (typeof value !== "string") throw this.#invalid(name, shape);
    const size = utf8(value).length;
    if (size < (bounds.minBytes ?? 0) || size > bounds.maxBytes) throw this.#invalid(name, shape);
    return value;
  }

  optionalText(name: string, bounds: { maxBytes: number; minBytes?: number }): string | undefined {
    return this.has(name) ? this.text(name, bounds) : undefined;
  }

  /** A text that `is` accepts: a name of the domain. */
  name<T extends string>(name: string, shape: string, is: (text: string) => text is T): T {
    const value = this.#map.get(name);
    if (typeof value !== "string" || !is(value)) throw this.#invalid(name, shape);
    return value;
  }

  optionalName<T extends string>(
    name: string,
    shape: string,
    is: (text: string) => text is T,
  ): T | undefined {
    return this.has(name) ? this.name(name, shape, is) : undefined;
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.#map.get(name);
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) throw this.#invalid(name, `one of ${choices.join(", ")}`);
    return choice;
  }

  integer(name: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#map.get(name);
    if (
      typeof value !== "number" ||
      !Number.isSafeInteger(value) ||
      value < least ||
      value > most
    ) {
      throw this.#invalid(name, `an integer from ${least} to ${most}`);
    }
    return value;
  }

  optionalInteger(name: string, least: number, most?: number): number | undefined {
    return this.has(name) ? this.integer(name, least, most) : undefined;
  }

  boolean(name: string): boolean {
    const value = this.#map.get(name);
    if (typeof value !== "boolean") throw this.#invalid(name, "true or false");
    return value;
  }

  bytes(name: string, length: number): Uint8Array {
    const value = this.#map.get(name);
    if (!(value instanceof Uint8Array) || value.length !== length)
      throw this.#invalid(name, `${length} bytes`);
    return value;
  }

  byteString(name: string, mostBytes: number): Uint8Array {
    const value = this.#map.get(name);
    if (!(value instanceof Uint8Array) || value.length > mostBytes) {
      throw this.#invalid(name, `at most ${mostBytes} bytes`);
    }
    return value;
  }

  list(name: string, most: number): readonly CborValue[] {
    const value = this.#map.get(name);
    if (!isCborList(value) || value.length > most)
      throw this.#invalid(name, `an array of at most ${most}`);
    return value;
  }

  /** The fields of a map below this one. */
  map(name: string): Fields {
    return new Fields(this.#map.get(name), `${this.#where}.${name}`);
  }

  optionalMap(name: string): Fields | undefined {
    return this.has(name) ? this.map(name) : undefined;
  }

  json(name: string): JsonValue {
    const value = this.#map.get(name);
    if (value === undefined) throw this.#invalid(name, "a JSON value");
    return toJson(value, `${this.#where}.${name}`);
  }

  optionalJson(name: string): JsonValue | undefined {
    return this.has(name) ? this.json(name) : undefined;
  }

  #invalid(name: string, shape: string): PosternError {
    return invalid(`${this.#where}.${name}`, shape);
  }
}

/** A JSON value as plain data. Throws `PAYLOAD_INVALID` for byte strings and for keys that are no texts. */
export function toJson(value: CborValue, where: string): JsonValue {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Uint8Array)
    throw invalid(where, "a JSON value, and those have no byte strings");
  if (!isCborMap(value)) return value.map((item, index) => toJson(item, `${where}[${index}]`));
  const entries = [...value].map(([key, item]): [string, JsonValue] => {
    if (typeof key !== "string") throw invalid(where, "a JSON value, and its keys are texts");
    return [key, toJson(item, `${where}.${key}`)];
  });
  // Object.fromEntries defines own properties: a key named __proto__ stays a key.
  return Object.fromEntries(entries);
}

function invalid(where: string, shape: string): PosternError {
  return new PosternError("PAYLOAD_INVALID", `${where} must be ${shape}`);
}
