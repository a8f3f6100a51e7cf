import { Encoder } from "cbor-x/index-no-eval";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { major, walkCbor } from "./cbor-walk.ts";

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
};
// This build of cbor-x never loads the optional native extractor: no machine differs from another.
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
  walkCbor(bytes);
  return new Reader(bytes).value();
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

/**
 * Makes the value of one item that the walker has let through: heads, lengths and nesting are in order. Not the
 * library's: that drops a byte order mark at the start of a longer text, so that two keys of a map become one,
 * and what a reader is shown must be what was signed.
 */
class Reader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(): CborValue {
    const first = this.#bytes.readUInt8(this.#advance(1));
    const [type, info] = [first >> 5, first & 31];
    if (type === major.simple) return this.#simple(info);
    const argument = this.#argument(info);
    switch (type) {
      case major.unsigned:
        return argument;
      case major.negative:
        return -1 - argument;
      case major.bytes:
        return this.#content(argument);
      case major.text:
        return this.#text(argument);
      case major.array:
        return this.#list(argument);
      case major.map:
        return this.#map(argument);
      default:
        throw unforeseen();
    }
  }

  #list(length: number): CborValue[] {
    const list: CborValue[] = [];
    while (list.length < length) list.push(this.value());
    return list;
  }

  #map(length: number): CborMap {
    const map = new Map<string | number, CborValue>();
    for (let read = 0; read < length; read += 1) {
      const key = this.value();
      if (typeof key !== "string" && typeof key !== "number") throw unforeseen();
      map.set(key, this.value());
    }
    return map;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    const size = 1 << (info - 24);
    const at = this.#advance(size);
    if (size < 8) return this.#bytes.readUIntBE(at, size);
    return this.#bytes.readUInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4);
  }

  #content(length: number): Uint8Array {
    const start = this.#advance(length);
    return new Uint8Array(this.#bytes.subarray(start, this.#position));
  }

  #text(length: number): string {
    const start = this.#advance(length);
    return this.#bytes.toString("utf8", start, this.#position);
  }

  #simple(info: number): CborValue {
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      default:
        return this.#bytes.readDoubleBE(this.#advance(8));
    }
  }

  /** Returns where what was passed over begins. */
  #advance(length: number): number {
    const start = this.#position;
    this.#position += length;
    return start;
  }
}

function unforeseen(): PosternError {
  return new PosternError("INTERNAL", "CBOR: the walker let through what is not in the profile");
}
