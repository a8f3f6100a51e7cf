/** The last moment that a date can name. */
const lastMs = 8.64e15;

/** A moment as text. Peers may name moments that no date reaches: they become the last one. */
export function isoTime(ms: number): string {
  return new Date(Math.min(ms, lastMs)).toISOString();
}

/** The same of seconds since 1970; null where there is no such moment. */
export function isoSeconds(seconds: number | null | undefined): string | null {
  return seconds === null || seconds === undefined ? null : isoTime(seconds * 1000);
}
