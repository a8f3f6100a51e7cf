import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";

/**
 * What every driver takes as a key, whatever could store more: relative, at most `maxObjectKeyBytes` bytes
 * of well-formed UTF-8, segments joined by `/`. A segment is 1 to `maxKeySegmentBytes` bytes, does not
 * begin with a dot (so neither `.`, `..` nor a hidden file) and holds no control character and no `\`.
 */
export function isStoreKey(text: string): text is ObjectKey {
  return isPlain(text) && text.split("/").every(isSegment);
}

/** Throws `STORE_KEY_INVALID`. */
export function checkKey(key: string): asserts key is ObjectKey {
  if (!isStoreKey(key)) throw invalid("key", key);
}

/** A prefix is the beginning of a key, or empty: its last segment may be cut short. Throws `STORE_KEY_INVALID`. */
export function checkPrefix(prefix: string): void {
  const whole = prefix.split("/").slice(0, -1);
  if (!isPlain(prefix) || !whole.every(isSegment)) throw invalid("prefix", prefix);
}

function isPlain(text: string): boolean {
  return (
    text.isWellFormed() &&
    !/[\p{Cc}\\]/u.test(text) &&
    Buffer.byteLength(text) <= limits.maxObjectKeyBytes
  );
}

function isSegment(segment: string): boolean {
  return (
    segment !== "" &&
    !segment.startsWith(".") &&
    Buffer.byteLength(segment) <= limits.maxKeySegmentBytes
  );
}

function invalid(what: string, text: string): PosternError {
  const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
  return new PosternError(
    "STORE_KEY_INVALID",
    `${shown} is no ${what} of a store: use segments joined by "/", none of them empty or beginning with a dot, ` +
      `without control characters or "\\", at most ${limits.maxObjectKeyBytes} bytes`,
  );
}

const lastBeforeSurrogates = 0xd7ff;

/** Orders two names by the bytes of their UTF-8: below zero, zero, above zero. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    // UTF-16 puts what lies beyond the basic plane (surrogates, D800 to DFFF) before E000 to FFFF; UTF-8 after.
    if (left > lastBeforeSurrogates && right > lastBeforeSurrogates) {
      return rank(left) - rank(right);
    }
    return left - right;
  }
  return a.length - b.length;
}

function rank(codeUnit: number): number {
  return codeUnit < 0xe000 ? codeUnit + 0x2000 : codeUnit - 0x800;
}

export function sortNames(names: readonly string[]): string[] {
  // The engine's own order of strings is the same, and faster, where no name has such characters.
  const needsCompare = names.some((name) => /[\ud800-\uffff]/.test(name));
  return needsCompare ? names.toSorted(compareNames) : names.toSorted();
}
