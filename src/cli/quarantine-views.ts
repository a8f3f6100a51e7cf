import { string } from "@oclif/core/args";
import { isErrorCode, PosternError, type ErrorCode } from "../base/errors.ts";
import type { QuarantineEntry } from "../state/quarantine.ts";
import type { State } from "../state/state.ts";
import { roughDuration } from "./duration.ts";
import { fieldLines } from "./field-lines.ts";

/** What the commands about one quarantine entry take. */
export const quarantineArgs = {
  id: string({ description: "What `quarantine list` shows.", required: true, ignoreStdin: true }),
};

/** Throws `QUARANTINE_UNKNOWN`. */
export async function requireQuarantined(state: State, id: string): Promise<QuarantineEntry> {
  const entry = await state.quarantinedEntry(id);
  if (entry === undefined) throw quarantineUnknown(id);
  return entry;
}

export function quarantineUnknown(id: string): PosternError {
  const shown = JSON.stringify(id);
  return new PosternError(
    "QUARANTINE_UNKNOWN",
    `${shown} is not in quarantine: see \`postern quarantine list\``,
  );
}

/** What was refused, as the `quarantine` commands tell it. */
export function quarantineView(entry: QuarantineEntry) {
  return {
    id: entry.id,
    code: entry.code,
    sender: entry.bucket,
    key: entry.key,
    size: entry.size,
    kept: entry.bytes !== null,
    released: entry.released,
    at: new Date(entry.atMs).toISOString(),
    detail: entry.detail,
    whatToDo: adviceOn(entry),
  };
}

/** The same for people, before something is done with it. */
export function quarantineLines(entry: QuarantineEntry, nowMs: number, more: object = {}): string {
  const { whatToDo: _asked, at, ...facts } = quarantineView(entry);
  return fieldLines({
    ...facts,
    at: `${at} (${roughDuration(Math.max(0, nowMs - entry.atMs))} ago)`,
    ...more,
  });
}

const advice: Readonly<Partial<Record<ErrorCode, string>>> = {
  PEER_UNKNOWN:
    "if you know the sender, compare the fingerprint of its card and run `postern peers add`",
  KEY_UNKNOWN:
    "the sender signed with a key that is not pinned: ask for its card anew, and compare the fingerprint",
  KEY_REVOKED: "the key was revoked here: if the sender still uses it, ask for its new card",
  KEY_OUTSIDE_WINDOW:
    "the key was used outside its time: look at notBefore and notAfter in trust.json",
  SIGNATURE_INVALID:
    "it was changed, moved, made for another realm, or forged: find out who may write to the store; the sender's own copy comes again by itself",
  OBJECT_TOO_LARGE: "it was left in the store, unread: look at it there, and delete it",
  KEY_NAME_UNKNOWN: "it was left in the store, unread: find out who put it there, and delete it",
  ISSUER_MISMATCH: "it lies under another sender's name: find out who may write to the store",
  AUDIENCE_MISMATCH: "it was meant for another gateway: find out who copied it here",
  RUN_ID_MISMATCH: "its name is not that of its content: find out who copied or renamed it",
  ISSUED_IN_FUTURE: "check this machine's clock and the sender's",
  TTL_INVALID: "the sender asks for a longer life than is allowed: it has to ask again",
  VERSION_UNSUPPORTED: "the sender's program is newer: update Postern here",
  RECEIVED_TOO_LATE:
    "it came too late for any answer to be believed: the sender has to ask again under a new key",
};

/** Verdicts that may be others once an operator has done what is advised. */
const mayChange: ReadonlySet<string> = new Set<ErrorCode>([
  "PEER_UNKNOWN",
  "KEY_UNKNOWN",
  "KEY_OUTSIDE_WINDOW",
  "ISSUED_IN_FUTURE",
  "VERSION_UNSUPPORTED",
]);

function adviceOn({ id, code, bytes, released }: QuarantineEntry): string {
  if (released) return releasedAdvice;
  const known = isErrorCode(code) ? advice[code] : undefined;
  const what =
    known ?? "it is not what the protocol allows: tell the sender, whose program may be faulty";
  return bytes !== null && mayChange.has(code)
    ? `${what}; then \`postern quarantine release ${id}\``
    : `${what}; \`postern quarantine discard ${id}\` forgets it`;
}

const releasedAdvice =
  "it was released: the next `postern poll`, or a `postern serve` at work, puts it through admission";
