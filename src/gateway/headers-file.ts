import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { RequestHeaders } from "../handlers/http.ts";
import { readSecretFile } from "./files.ts";

/** A name (RFC 9110 section 5.6.2), and a value of visible ASCII with spaces and tabs only within. */
const headerLine =
  /^(?<name>[\w!#$%&'*+.^`|~-]+):[ \t]*(?<value>[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)[ \t]*$/;

/** What Postern says itself, and what would change where a message ends or whom it reaches. */
const ownNames =
  /^(?:postern-.*|proxy-.*|idempotency-key|content-type|content-length|content-encoding|accept-encoding|transfer-encoding|te|trailer|connection|keep-alive|upgrade|expect|host)$/;

/**
 * The headers that an operator sends along to an agent, credentials say: a line `Name: value` for each; blank
 * lines are skipped. Throws `HOME_UNSAFE` when others than its owner may read or write the file, and
 * `CONFIG_INVALID`; no message holds anything of a value.
 */
export function readHeadersFile(path: string): RequestHeaders {
  const { bytes } = readSecretFile(path, "CONFIG_INVALID", limits.maxHeadersFileBytes);
  const headers = new Map<string, string>();
  // Latin-1 takes any bytes; what is not ASCII is refused with the rest.
  const lines = Buffer.from(bytes).toString("latin1").split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const refuse = (what: string): PosternError =>
      new PosternError("CONFIG_INVALID", `${path}: line ${index + 1} ${what}`);
    const { name: written, value } = headerLine.exec(line)?.groups ?? {};
    if (written === undefined || value === undefined)
      throw refuse("is no header: write `Name: value`, in ASCII");
    const name = written.toLowerCase();
    if (ownNames.test(name)) throw refuse(`sets ${name}, which Postern sets itself: remove it`);
    if (headers.has(name)) throw refuse(`sets ${name} a second time: keep one of them`);
    headers.set(name, value);
  }
  return Object.fromEntries(headers);
}
