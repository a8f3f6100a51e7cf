/**
 * How long an S3 answer asks to be left alone, in milliseconds, by its headers (their names in lower case):
 * `Retry-After` of RFC 9110, section 10.2.3. A date counts from the answer's own `Date`: whose clock is right
 * does not matter then. Undefined where nothing is asked, or nothing that can be read.
 */
export function retryAfterOf(headers: Readonly<Record<string, unknown>>): number | undefined {
  const asked = headers["retry-after"];
  if (typeof asked !== "string") return undefined;
  if (/^\d{1,10}$/.test(asked)) return Number(asked) * 1000;
  const waitMs = timeOf(asked) - timeOf(headers["date"]);
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

/** An HTTP-date as it is sent today (RFC 9110, section 5.6.7), in milliseconds since 1970; NaN of anything else. */
function timeOf(text: unknown): number {
  return typeof text === "string" && /^\w{3}, [\w: ]{20} GMT$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
}
