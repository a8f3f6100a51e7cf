import { limits } from "../base/limits.ts";
import type { Records } from "./records.ts";

/** What a state remembers of what went wrong. */
export interface TroubleSteps {
  /**
   * Remembers the latest trouble of a subject in the place of the one before. Of more subjects than
   * `limits.maxTroubles`, the one whose trouble is the oldest is forgotten.
   */
  noteTrouble(trouble: Trouble): Promise<void>;
  /** Forgets a subject's trouble, if there is one. */
  clearTrouble(subject: string): Promise<void>;
  /** The latest first. */
  troubles(): Promise<readonly Trouble[]>;
}

/** What went wrong last with a peer, or with this gateway itself. */
export interface Trouble {
  /** The peer's name; empty for this gateway itself. */
  readonly subject: string;
  /** An error code, of this program or of a later one. */
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
}

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
