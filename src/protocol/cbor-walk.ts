import { isUtf8 } from "node:buffer";
import { PosternError, type ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";

/** An array or map whose items are still being read. */
interface Container {
  readonly isMap: boolean;
  /** Items still to come; a map counts keys and values. */
  left: number;
  /** Where the last key's encoding lies; both 0 before the first key. */
  keyStart: number;
  keyEnd: number;
}

/** The three high bits of an item's first byte (RFC 8949 section 3.1). */
export const major = {
  unsigned: 0,
  negative: 1,
  bytes: 2,
  text: 3,
  array: 4,
  map: 5,
  tag: 6,
  simple: 7,
} as const;

const twoTo32 = 2 ** 32;

/**
 * Checks that `bytes` are exactly one CBOR item in the profile of SPEC.md (CBOR), before any library decodes
 * them: one pass, no values made, a stack no deeper than `limits.maxCborDepth`. The first violation in the
 * order of the bytes decides the code.
 *
 * Throws `CBOR_TOO_LARGE`, `CBOR_TOO_DEEP`, `CBOR_MALFORMED`, `CBOR_NOT_CANONICAL` or `CBOR_FORBIDDEN`.
 */
export function walkCbor(bytes: Uint8Array): void {
  if (bytes.length > limits.maxEnvelopeBytes) {
    const found = `${bytes.length} bytes of CBOR`;
    throw new PosternError(
      "CBOR_TOO_LARGE",
      `${found}; at most ${limits.maxEnvelopeBytes} are read`,
    );
  }
  new Walker(bytes).walk();
}

class Walker {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #open: Container[] = [];
  #position = 0;
  #items = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  walk(): void {
    do {
      this.#item();
    } while (this.#open.length > 0);
    if (this.#position < this.#bytes.length)
      throw this.#failure("CBOR_MALFORMED", "bytes follow the item");
  }

  #item(): void {
    if (++this.#items > limits.maxCborItems) {
      throw this.#failure("CBOR_TOO_LARGE", `more than ${limits.maxCborItems} items`);
    }
    const start = this.#position;
    const parent = this.#open.at(-1);
    const isKey = parent !== undefined && parent.isMap && parent.left % 2 === 0;
    if (parent !== undefined) parent.left -= 1;
    const first = this.#firstByte(isKey);
    const opened = this.#body(first >> 5, first & 31);
    if (isKey) this.#keyOrder(parent, start);
    if (opened !== undefined && opened.left > 0) {
      this.#open.push(opened);
      return;
    }
    while (this.#open.at(-1)?.left === 0) this.#open.pop();
  }

  #firstByte(isKey: boolean): number {
    if (this.#position >= this.#bytes.length) throw this.#truncated();
    const first = this.#view.getUint8(this.#position);
    const type = first >> 5;
    if (isKey && type !== major.unsigned && type !== major.negative && type !== major.text) {
      throw this.#failure("CBOR_FORBIDDEN", "a map key that is neither a text nor an integer");
    }
    this.#position += 1;
    return first;
  }

  /** What follows an item's first byte. Returns the container that it opens, if it is one. */
  #body(type: number, info: number): Container | undefined {
    if (info > 27) throw this.#unusualHead(type, info);
    switch (type) {
      case major.unsigned:
        return this.#integer(this.#argument(info));
      case major.negative:
        return this.#integer(this.#argument(info) + 1);
      case major.bytes:
        this.#advance(this.#argument(info));
        return undefined;
      case major.text:
        this.#text(this.#argument(info));
        return undefined;
      case major.array:
        return this.#container(false, this.#argument(info));
      case major.map:
        return this.#container(true, this.#argument(info) * 2);
      case major.tag:
        throw this.#failure("CBOR_FORBIDDEN", "a tag");
      default:
        this.#simple(info);
        return undefined;
    }
  }

  #unusualHead(type: number, info: number): PosternError {
    const mayBeIndefinite = type >= major.bytes && type <= major.map;
    return info === 31 && mayBeIndefinite
      ? this.#failure("CBOR_NOT_CANONICAL", "an indefinite length")
      : this.#failure("CBOR_MALFORMED", "a first byte that means nothing here");
  }

  /** The number in an item's head. One beyond 2^53 - 1 comes rounded, and still as larger than 2^53 - 1. */
  #argument(info: number): number {
    if (info < 24) return info;
    const at = this.#advance(1 << (info - 24));
    switch (info) {
      case 24:
        return this.#shortest(this.#view.getUint8(at), 24);
      case 25:
        return this.#shortest(this.#view.getUint16(at), 2 ** 8);
      case 26:
        return this.#shortest(this.#view.getUint32(at), 2 ** 16);
      default:
        return this.#shortest(
          this.#view.getUint32(at) * twoTo32 + this.#view.getUint32(at + 4),
          twoTo32,
        );
    }
  }

  #shortest(value: number, least: number): number {
    if (value >= least) return value;
    throw this.#failure("CBOR_NOT_CANONICAL", "a head that is longer than it needs to be");
  }

  #integer(magnitude: number): undefined {
    if (magnitude <= Number.MAX_SAFE_INTEGER) return undefined;
    throw this.#failure("CBOR_FORBIDDEN", "an integer beyond 2^53 - 1");
  }

  #text(length: number): void {
    const start = this.#advance(length);
    if (!isUtf8(this.#bytes.subarray(start, this.#position))) {
      throw this.#failure("CBOR_MALFORMED", "a text that is not well-formed UTF-8");
    }
  }

  #container(isMap: boolean, left: number): Container {
    if (this.#open.length >= limits.maxCborDepth) {
      throw this.#failure(
        "CBOR_TOO_DEEP",
        `more than ${limits.maxCborDepth} arrays and maps within each other`,
      );
    }
    // Every item takes a byte at least: no head may announce more than can follow.
    if (left > this.#bytes.length - this.#position) throw this.#truncated();
    return { isMap, left, keyStart: 0, keyEnd: 0 };
  }

  #simple(info: number): void {
    switch (info) {
      case 20:
      case 21:
      case 22:
        return;
      case 25:
      case 26:
        throw this.#failure("CBOR_NOT_CANONICAL", "a float of 16 or 32 bits");
      case 27:
        return this.#float(this.#view.getFloat64(this.#advance(8)));
      default:
        throw this.#failure("CBOR_FORBIDDEN", "a simple value other than false, true and null");
    }
  }

  #float(value: number): void {
    if (!Number.isFinite(value)) throw this.#failure("CBOR_FORBIDDEN", "a float that is no number");
    if (Number.isSafeInteger(value))
      throw this.#failure("CBOR_NOT_CANONICAL", "an integer written as a float");
  }

  #keyOrder(map: Container, start: number): void {
    if (map.keyEnd > 0 && !this.#precedes(map.keyStart, map.keyEnd, start, this.#position)) {
      throw this.#failure("CBOR_NOT_CANONICAL", "map keys that are not sorted, or come twice");
    }
    map.keyStart = start;
    map.keyEnd = this.#position;
  }

  /** Whether one encoding comes before another, byte by byte (RFC 8949 section 4.2.1). */
  #precedes(start: number, end: number, otherStart: number, otherEnd: number): boolean {
    const shared = Math.min(end - start, otherEnd - otherStart);
    for (let index = 0; index < shared; index += 1) {
      const difference =
        this.#view.getUint8(start + index) - this.#view.getUint8(otherStart + index);
      if (difference !== 0) return difference < 0;
    }
    return false;
  }

  /** Steps over `length` bytes and returns where they begin. */
  #advance(length: number): number {
    const start = this.#position;
    if (length > this.#bytes.length - start) throw this.#truncated();
    this.#position += length;
    return start;
  }

  #truncated(): PosternError {
    return this.#failure("CBOR_MALFORMED", "the bytes end within an item");
  }

  #failure(code: ErrorCode, what: string): PosternError {
    return new PosternError(code, `CBOR: ${what}, near byte ${this.#position}`);
  }
}
