import { limits } from "../base/limits.ts";
import type { Records } from "./records.ts";
import type { Trouble } from "./state.ts";

/** What `State.noteTrouble` does, inside its write. */
export function noteTrouble(records: Records, { subject, code, message, atMs }: Trouble): void {
  const isNew = records.trouble(subject) === undefined;
  if (isNew && records.troubleCount() >= limits.maxTroubles) {
    const [oldest] = records.oldTroubles(Number.MAX_SAFE_INTEGER, 1);
    if (oldest !== undefined) records.deleteTrouble(oldest);
  }
  // A message may quote what a peer made up, and a database keeps UTF-8.
  records.putTrouble({ subject, code, message: message.toWellFormed(), atMs });
}

/** What `State.clearTrouble` does, inside its write. */
export function clearTrouble(records: Records, subject: string): void {
  if (records.trouble(subject) !== undefined) records.deleteTrouble(subject);
}
