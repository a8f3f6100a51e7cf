import { Encoder } from "cbor-x/index-no-eval";
import { fromUtf8 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { walkCbor } from "./cbor-walk.ts";

export type CborMap = ReadonlyMap<string | number, CborValue>;
/** What `decodeCbor` makes. Maps are always `Map`, so that no key ever meets a prototype. */
export type CborValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly CborValue[]
  | CborMap;
/** What `encodeCbor` takes: plain objects besides, whose undefined fields are left out. */
export type CborInput = CborValue | readonly CborInput[] | CborObject;
interface CborObject {
  readonly [key: string]: CborInput | undefined;
}

/** What the library is given: it writes a bigint as a 64-bit integer, and a Map's entries in their order. */
type Prepared = null | boolean | PreparedKey | Uint8Array | Prepared[] | Map<PreparedKey, Prepared>;
type PreparedKey = string | number | bigint;

const options = {
  useRecords: false,
  mapsAsObjects: false,
  useTag259ForMaps: false,
  variableMapSize: true,
  tagUint8Array: false,
  int64AsNumber: true,
  copyBuffers: true,
};
// This build of cbor-x never loads the optional native extractor: every machine reads the same bytes alike.
const library = new Encoder(options);

/**
 * The one encoding of `value` (SPEC.md, CBOR): shortest heads, sorted keys, definite lengths, integers within
 * 2^53 - 1 as integers and every other number as a 64-bit float, -0 as 0. The size in bytes is not bounded here.
 *
 * Throws `CBOR_FORBIDDEN` for what the profile has no form for, `CBOR_TOO_DEEP` for what is nested too deeply
 * (a cycle, say) and `CBOR_TOO_LARGE` for too many items.
 */
export function encodeCbor(value: CborInput): Uint8Array {
  const prepared = new Preparation().prepare(value, 0);
  // Copied, because the library hands out pieces of one shared buffer.
  return new Uint8Array(library.encode(prepared));
}

/**
 * The value of exactly one CBOR item in the profile. It shares no memory with `bytes`.
 *
 * Throws `CBOR_TOO_LARGE`, `CBOR_TOO_DEEP`, `CBOR_MALFORMED`, `CBOR_NOT_CANONICAL` or `CBOR_FORBIDDEN`.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  let marked = false;
  walkCbor(bytes, (start) => {
    marked ||= bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  });
  // A view of our own: the library leaves a property on what it reads, and copies byte strings as its class.
  const value: unknown = library.decode(
    new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
  if (!isCborValue(value))
    throw new PosternError("INTERNAL", "CBOR: decoded to what the walker did not see");
  return marked ? withTexts(value, textsOf(bytes)) : value;
}

export function isCborMap(value: CborInput | undefined): value is CborMap {
  return value instanceof Map;
}

export function isCborList(value: CborValue | undefined): value is readonly CborValue[] {
  return Array.isArray(value);
}

function isInputList(value: CborInput): value is readonly CborInput[] {
  return Array.isArray(value);
}

/** Makes a value ready for the library, within the bounds that `decodeCbor` sets as well. */
class Preparation {
  #items = 0;

  prepare(value: CborInput | undefined, depth: number): Prepared {
    this.#count();
    switch (typeof value) {
      case "boolean":
        return value;
      case "number":
        return preparedNumber(value);
      case "string":
        return wellFormed(value);
      case "object":
        return value === null || value instanceof Uint8Array
          ? value
          : this.#container(value, depth + 1);
      default:
        throw forbidden(`a value of type ${typeof value}`);
    }
  }

  #container(value: readonly CborInput[] | CborMap | CborObject, depth: number): Prepared {
    if (depth > limits.maxCborDepth) {
      throw new PosternError(
        "CBOR_TOO_DEEP",
        `CBOR: more than ${limits.maxCborDepth} levels to write, or a cycle`,
      );
    }
    if (isInputList(value)) return Array.from(value, (item) => this.prepare(item, depth));
    if (isCborMap(value)) return this.#map([...value], depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null)
      throw forbidden("an object that is not a plain one");
    const present = Object.entries(value).filter(([, item]) => item !== undefined);
    return this.#map(present, depth);
  }

  #map(entries: readonly [string | number, CborInput | undefined][], depth: number): Prepared {
    const sortable = entries.map(([key, item]) => {
      this.#count();
      const prepared = preparedKey(key);
      return { key: prepared, encoded: library.encode(prepared), item };
    });
    sortable.sort((a, b) => Buffer.compare(a.encoded, b.encoded));
    return new Map(sortable.map(({ key, item }) => [key, this.prepare(item, depth)]));
  }

  #count(): void {
    if (++this.#items <= limits.maxCborItems) return;
    throw new PosternError(
      "CBOR_TOO_LARGE",
      `CBOR: more than ${limits.maxCborItems} items to write`,
    );
  }
}

/** The library writes integers of more than 32 bits as floats unless they are bigints. */
function preparedNumber(value: number): number | bigint {
  if (!Number.isFinite(value)) throw forbidden(`the number ${value}`);
  const fits32Bits = value >= -(2 ** 32) && value < 2 ** 32;
  return Number.isSafeInteger(value) && !fits32Bits ? BigInt(value) : value;
}

function preparedKey(key: string | number): PreparedKey {
  if (typeof key === "string") return wellFormed(key);
  if (Number.isSafeInteger(key)) return preparedNumber(key);
  throw forbidden("a map key that is neither a text nor an integer");
}

function wellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  throw forbidden("a text with half a surrogate pair");
}

function forbidden(what: string): PosternError {
  return new PosternError("CBOR_FORBIDDEN", `CBOR: there is no form for ${what}`);
}

/** What the walker lets through comes back as nothing else; that the library agrees is checked, not believed. */
function isCborValue(value: unknown): value is CborValue {
  switch (typeof value) {
    case "boolean":
    case "string":
      return true;
    case "number":
      return Number.isFinite(value);
    case "object":
      if (value === null || value instanceof Uint8Array) return true;
      if (Array.isArray(value)) return value.every(isCborValue);
      return (
        value instanceof Map &&
        [...value].every(([key, item]) => isCborKey(key) && isCborValue(item))
      );
    default:
      return false;
  }
}

function isCborKey(key: unknown): boolean {
  return typeof key === "string" || Number.isSafeInteger(key);
}

/** All texts in the order of the bytes, map keys included. */
function textsOf(bytes: Uint8Array): Iterator<string, undefined> {
  const texts: string[] = [];
  walkCbor(bytes, (start, end) => texts.push(fromUtf8(bytes.subarray(start, end))));
  return texts.values();
}

/**
 * `value` with its texts replaced, in the order of the bytes: the library drops a byte order mark at the start
 * of a longer text, and what a reader is shown must be what was signed.
 */
function withTexts(value: CborValue, texts: Iterator<string, undefined>): CborValue {
  if (typeof value === "string") return withText(value, texts);
  if (isCborList(value)) return value.map((item) => withTexts(item, texts));
  if (!isCborMap(value)) return value;
  const entries = [...value].map(([key, item]): [string | number, CborValue] => [
    typeof key === "string" ? withText(key, texts) : key,
    withTexts(item, texts),
  ]);
  return new Map(entries);
}

function withText(text: string, texts: Iterator<string, undefined>): string {
  return texts.next().value ?? text;
}
