/**
 * Everything that could move a cursor, change a terminal, or show a text in another order than it has:
 * controls (C0, DEL, C1), format characters (bidi overrides, tags, soft hyphens), separators, half surrogates.
 */
export const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with what is unprintable spelled out (`\u{1b}`). */
export function printable(text: string): string {
  return text.replaceAll(unprintable, spelledOut);
}

export function spelledOut(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
