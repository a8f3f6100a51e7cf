/** How long what is over is kept: after its end, and after the expiry of what was signed. */
export interface Retention {
  readonly skewMs: number;
  readonly retentionMs: number;
}

/**
 * The last moment at which something that ended then, and expires at `exp` (seconds), is kept. No two clocks
 * differ by a whole skew, and what is signed until two skews past expiry may still be believed: after three,
 * nobody uses it any more.
 */
export function keptUntilMs(
  endedMs: number,
  exp: number,
  { skewMs, retentionMs }: Retention,
): number {
  return Math.max(endedMs + retentionMs, exp * 1000 + 3 * skewMs);
}
