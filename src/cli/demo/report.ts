import { PosternError } from "../../base/errors.ts";
import type { RunId } from "../../base/names.ts";
import type { Audit } from "./audit.ts";

/** The demo's numbers, each counted: the one line of `postern demo --json`. */
export interface DemoReport {
  readonly demo: "ok";
  readonly store: string;
  readonly runId: RunId;
  readonly frames: number;
  readonly terminal: string;
  readonly duplicate: { readonly sent: number; readonly executed: number };
  readonly tampered: {
    readonly sent: number;
    readonly executed: number;
    readonly quarantined: number;
  };
  readonly objects: number;
  readonly seconds: number;
}

/** How often something was put into the callee's inbox. */
interface Sent {
  readonly duplicates: number;
  readonly tampered: number;
}

/** The third process's line of JSON. Throws `INTERNAL` for anything else. */
export function readAudit(line: string): Audit {
  const value: unknown = JSON.parse(line);
  if (isAudit(value)) return value;
  throw broken("the numbers are no numbers");
}

const counts = [
  "frames",
  "startsOfRequest",
  "startsOfOthers",
  "journalLines",
  "quarantined",
  "objects",
];

function isAudit(value: unknown): value is Audit {
  if (typeof value !== "object" || value === null) return false;
  const fields = new Map(Object.entries(value));
  return (
    typeof fields.get("terminal") === "string" &&
    counts.every((name) => Number.isSafeInteger(fields.get(name)))
  );
}

/** A demo that shows something else than it claims must not end well. */
export function requireProof(audit: Audit, { duplicates, tampered }: Sent): void {
  const { startsOfRequest, startsOfOthers, journalLines } = audit;
  const isProof =
    audit.terminal === "succeeded" &&
    startsOfRequest === 1 &&
    startsOfOthers === 0 &&
    journalLines === startsOfRequest + startsOfOthers &&
    audit.quarantined === 1 &&
    duplicates === 1 &&
    tampered === 1;
  if (!isProof) throw broken(`it counted ${JSON.stringify({ ...audit, duplicates, tampered })}`);
}

/** The numbers for people. */
export function summaryOf({
  frames,
  terminal,
  duplicate,
  tampered,
  objects,
  seconds,
}: DemoReport): string {
  return [
    `the run                ${terminal}, in ${frames} signed frames`,
    `the request            lay in the inbox ${times(duplicate.sent)}, and ran ${times(duplicate.executed)}`,
    `the forgery            lay there ${times(tampered.sent)}, ran ${times(tampered.executed)}, and is in quarantine ${times(tampered.quarantined)}`,
    `left in the store      ${objects} objects`,
    `all this took          ${seconds} seconds`,
  ].join("\n");
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

/** A demo that fails to show what it claims is a fault of the program. */
export function broken(what: string): PosternError {
  return new PosternError("INTERNAL", `the demo did not show what it should: ${what}`);
}
