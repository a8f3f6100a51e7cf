import { limits } from "../base/limits.ts";

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

/** The troubles as a driver keeps them. */
export interface Troubles {
  get(subject: string): Trouble | undefined;
  /** In order of (atMs descending, subject). */
  all(): Trouble[];
  count(): number;
  /** Subjects of troubles from before `beforeMs`, at most `limit`, the oldest first: by (atMs, subject). */
  old(beforeMs: number, limit: number): string[];
  put(trouble: Trouble): void;
  /** Says of all that went wrong later that it did then: by a clock that was ahead. */
  dateUntil(nowMs: number): void;
  delete(subject: string): void;
}

/** What `State.noteTrouble` does, inside its write. */
export function noteTrouble(troubles: Troubles, { subject, code, message, atMs }: Trouble): void {
  const isNew = troubles.get(subject) === undefined;
  if (isNew && troubles.count() >= limits.maxTroubles) {
    const [oldest] = troubles.old(Number.MAX_SAFE_INTEGER, 1);
    if (oldest !== undefined) troubles.delete(oldest);
  }
  // A message may quote what a peer made up, and a database keeps UTF-8.
  troubles.put({ subject, code, message: message.toWellFormed(), atMs });
}

/** What `State.clearTrouble` does, inside its write. */
export function clearTrouble(troubles: Troubles, subject: string): void {
  if (troubles.get(subject) !== undefined) troubles.delete(subject);
}
