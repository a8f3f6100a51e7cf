import type { z } from "zod";
import { PosternError, type ErrorCode } from "./errors.ts";

/** What a document is called in messages, with what code it is refused, and how large it may be. */
export interface DocumentKind {
  readonly name: string;
  readonly code: ErrorCode;
  readonly maxBytes: number;
}

/** The most issues that one message lists. */
const issuesShown = 5;
const valueCharacters = 60;
const token = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g;

/**
 * Reads a JSON document that people edit. Stricter than `JSON.parse`, because a document that is read
 * otherwise than it was meant can grant what nobody wanted: one key twice in an object, a `__proto__`, a byte
 * order mark and bytes that are no UTF-8 refuse, as does whatever the schema does not know.
 *
 * Throws the kind's code; the message names the place, the value and what is expected there.
 */
export function readJsonDocument<T extends z.ZodType>(
  bytes: Uint8Array,
  schema: T,
  kind: DocumentKind,
): z.output<T> {
  if (bytes.length > kind.maxBytes) {
    throw refused(kind, `it has ${bytes.length} bytes, and ${kind.maxBytes} is the most`);
  }
  const text = textOf(bytes, kind);
  const value = parse(text, kind);
  requireOneMeaning(text, kind);
  return checkDocument(value, schema, kind);
}

/** The schema alone, for a document that was made or edited in memory. Throws like `readJsonDocument`. */
export function checkDocument<T extends z.ZodType>(
  value: unknown,
  schema: T,
  kind: DocumentKind,
): z.output<T> {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const issues = checked.error.issues.flatMap((issue) => meantIssues(issue, value));
  const listed = issues.slice(0, issuesShown).map((issue) => describe(issue, value));
  const more = issues.length - listed.length;
  throw refused(kind, [...listed, ...(more > 0 ? [`and ${more} more`] : [])].join("; "));
}

/** A document as it is written for people. */
export function formatDocument(document: object): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** The place of a value, as one would write it in JavaScript; empty for the document itself. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step) => stepText(step))
    .join("")
    .replace(/^\./, "");
}

function stepText(step: PropertyKey): string {
  if (typeof step === "number") return `[${step}]`;
  const name = String(step);
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

function refused(kind: DocumentKind, what: string, cause?: unknown): PosternError {
  return new PosternError(kind.code, `${kind.name}: ${what}`, { cause });
}

function textOf(bytes: Uint8Array, kind: DocumentKind): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.startsWith("\ufeff")) return text;
  } catch (cause) {
    throw refused(kind, "it is not UTF-8: save it as UTF-8", cause);
  }
  throw refused(kind, "it begins with a byte order mark: save it as UTF-8 without one");
}

function parse(text: string, kind: DocumentKind): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown";
    throw refused(kind, `it is not JSON: ${reason}`, cause);
  }
}

/** `JSON.parse` keeps the last of two equal keys and says nothing. `text` is known to be JSON. */
function requireOneMeaning(text: string, kind: DocumentKind): void {
  // The keys seen in each object that is open at this place; null for an array.
  const open: (Set<string> | null)[] = [];
  for (const [found, colon] of text.matchAll(token)) {
    if (found === "{") open.push(new Set());
    else if (found === "[") open.push(null);
    else if (found === "}" || found === "]") open.pop();
    else if (colon !== undefined) noteKey(open.at(-1), found.slice(0, -colon.length), kind);
  }
}

function noteKey(seen: Set<string> | null | undefined, quoted: string, kind: DocumentKind): void {
  const key = String(JSON.parse(quoted));
  if (seen?.has(key) === true) {
    throw refused(
      kind,
      `the key ${JSON.stringify(key)} stands twice in one object: keep one of them`,
    );
  }
  if (key === "__proto__") throw refused(kind, 'the key "__proto__" is not allowed: remove it');
  seen?.add(key);
}

/** Of an object that may have several forms, what is wrong with the only one that it has all fields of. */
function meantIssues(issue: z.core.$ZodIssue, document: unknown): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const forms = issue.errors.map((form) =>
    form.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
  );
  const [meant, ...others] = forms.filter((form) =>
    form.every(({ path }) => valueAt(document, path) !== undefined),
  );
  return meant !== undefined && others.length === 0 ? meant : [issue];
}

function describe(issue: z.core.$ZodIssue, document: unknown): string {
  const place = pathText(issue.path);
  if (issue.code === "unrecognized_keys") {
    const unknown = issue.keys.map((key) => pathText([...issue.path, key])).join(", ");
    return `${unknown}: no such field, remove it or correct its name`;
  }
  if (issue.code === "invalid_key") {
    return `${place}: ${issue.issues[0]?.message ?? "use another name"}`;
  }
  const where = place === "" ? "the document" : place;
  // The message of a check of ours names the value as far as that helps.
  if (issue.code === "custom") return `${where}: ${issue.message}`;
  const value = valueAt(document, issue.path);
  return value === undefined
    ? `${where} is missing: ${expected(issue)}`
    : `${where} is ${shown(value)}: ${expected(issue)}`;
}

function expected(issue: z.core.$ZodIssue): string {
  // The schema's own message, where it gave one, says what to do; a union's parts say it best together.
  if (issue.code !== "invalid_union" || issue.message !== "Invalid input") return issue.message;
  return issue.errors
    .flatMap((part) => part.slice(0, 1).map(({ message }) => message))
    .join(", or ");
}

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = document;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.getOwnPropertyDescriptor(value, step)?.value;
  }
  return value;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= valueCharacters ? text : `${text.slice(0, valueCharacters)}...`;
}
