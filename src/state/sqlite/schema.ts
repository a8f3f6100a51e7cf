import { PosternError } from "../../base/errors.ts";
import type { Retention } from "../retention.ts";
import type { SqliteDatabase } from "./database.ts";

/** Marks a database file as a Postern state ("pstn"): other programs' files are not mistaken for one. */
const applicationId = 0x7073746e;

/** Large values stand last in their tables: what comes before them is read without them. */
const firstVersion = `
CREATE TABLE identity (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  machine TEXT NOT NULL,
  folder TEXT NOT NULL,
  inode TEXT NOT NULL
) STRICT;

CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  highest_clock_ms INTEGER NOT NULL,
  born_ms INTEGER NOT NULL,
  look_ms INTEGER,
  generation INTEGER NOT NULL,
  claimed_ms INTEGER,
  elsewhere INTEGER NOT NULL CHECK (elsewhere IN (0, 1))
) STRICT;

CREATE TABLE nonces (nonce TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE versions (document TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE series (series TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
  sender TEXT NOT NULL,
  run_id TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  agent TEXT NOT NULL,
  kind TEXT NOT NULL,
  tenant TEXT,
  continues TEXT,
  iat INTEGER NOT NULL,
  exp INTEGER NOT NULL,
  deadline INTEGER,
  received_ms INTEGER NOT NULL,
  admitted INTEGER NOT NULL CHECK (admitted IN (0, 1)),
  starts INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('admitted', 'running', 'ended')),
  worker TEXT NOT NULL,
  nonce TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  running_since_ms INTEGER,
  max_run_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  acknowledged INTEGER CHECK (acknowledged IN (0, 1)),
  terminal_attempt INTEGER,
  terminal_seq INTEGER,
  outcome TEXT,
  terminal TEXT,
  terminal_envelope BLOB,
  request BLOB NOT NULL,
  PRIMARY KEY (sender, run_id, request_digest),
  CHECK ((state = 'ended') = (ended_ms IS NOT NULL)),
  CHECK ((ended_ms IS NULL) = (acknowledged IS NULL))
) STRICT;
CREATE INDEX receipts_open ON receipts (received_ms, run_id, request_digest, sender, worker)
  WHERE state <> 'ended';
CREATE INDEX receipts_ended ON receipts (received_ms, run_id, request_digest, sender)
  WHERE state = 'ended';
CREATE INDEX receipts_unacknowledged ON receipts (received_ms, run_id, request_digest, sender)
  WHERE acknowledged = 0;
CREATE INDEX receipts_settled ON receipts (ended_ms, sender, run_id, request_digest, exp)
  WHERE acknowledged = 1;
CREATE INDEX receipts_sender_open ON receipts (sender, run_id, kind)
  WHERE state <> 'ended';
CREATE INDEX receipts_continues ON receipts (sender, continues)
  WHERE state <> 'ended' AND continues IS NOT NULL;
CREATE INDEX receipts_sender_received ON receipts (sender, received_ms, run_id);

CREATE TABLE outbox (
  run_id TEXT PRIMARY KEY,
  callee TEXT NOT NULL,
  key TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  intent_digest TEXT NOT NULL,
  iat INTEGER NOT NULL,
  exp INTEGER NOT NULL,
  deadline INTEGER,
  opened_ms INTEGER NOT NULL,
  sent_ms INTEGER,
  answered INTEGER NOT NULL CHECK (answered IN (0, 1)),
  displaced INTEGER NOT NULL CHECK (displaced IN (0, 1)),
  state TEXT NOT NULL CHECK (state IN ('open', 'unknown', 'closed')),
  closed_ms INTEGER,
  settled_ms INTEGER,
  cancel_key TEXT,
  terminal TEXT,
  cancel_envelope BLOB,
  payload BLOB NOT NULL,
  envelope BLOB NOT NULL,
  CHECK ((cancel_key IS NULL) = (cancel_envelope IS NULL))
) STRICT;
CREATE INDEX outbox_opened ON outbox (opened_ms, run_id);
CREATE INDEX outbox_unclosed ON outbox (state, sent_ms, opened_ms, run_id) WHERE state <> 'closed';
CREATE INDEX outbox_settled ON outbox (settled_ms, run_id, exp) WHERE settled_ms IS NOT NULL;

CREATE TABLE transcripts (
  run_id TEXT PRIMARY KEY,
  attempt INTEGER NOT NULL,
  closed_ms INTEGER NOT NULL,
  terminal TEXT NOT NULL
) STRICT;
CREATE TABLE transcript_envelopes (
  run_id TEXT NOT NULL,
  place INTEGER NOT NULL,
  key TEXT NOT NULL,
  kid TEXT NOT NULL,
  verified_ms INTEGER NOT NULL,
  envelope BLOB NOT NULL,
  PRIMARY KEY (run_id, place)
) STRICT;

CREATE TABLE quarantine (
  id TEXT PRIMARY KEY,
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  size INTEGER NOT NULL,
  kept_bytes INTEGER NOT NULL,
  code TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  detail TEXT NOT NULL,
  bytes BLOB
) STRICT;
CREATE INDEX quarantine_latest ON quarantine (at_ms DESC, id);
CREATE INDEX quarantine_oldest ON quarantine (at_ms, id);
CREATE INDEX quarantine_bucket ON quarantine (bucket, at_ms DESC, id, kept_bytes);
`;

/**
 * Columns that are added stand behind the large values: they are read with the whole row, or from an index.
 * Each has a default, for a program of the version before that is still at work.
 */
const secondVersion = `
ALTER TABLE quarantine ADD COLUMN released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1));
DROP INDEX quarantine_bucket;
CREATE INDEX quarantine_bucket ON quarantine (bucket, at_ms DESC, id, kept_bytes, released);
CREATE INDEX quarantine_released ON quarantine (at_ms DESC, id) WHERE released = 1;

ALTER TABLE outbox ADD COLUMN read_attempt INTEGER;
ALTER TABLE outbox ADD COLUMN read_seq INTEGER;
ALTER TABLE outbox ADD COLUMN read_prev BLOB;

DROP INDEX receipts_open;
CREATE INDEX receipts_open ON receipts (received_ms, run_id, request_digest, sender, state, worker)
  WHERE state <> 'ended';
DROP INDEX receipts_ended;
CREATE INDEX receipts_received ON receipts (received_ms, run_id, request_digest, sender);

ALTER TABLE meta ADD COLUMN last_pass_ms INTEGER;
ALTER TABLE meta ADD COLUMN last_pass_code TEXT;
ALTER TABLE meta ADD COLUMN last_good_pass_ms INTEGER;

CREATE TABLE troubles (
  subject TEXT PRIMARY KEY,
  code TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  message TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX troubles_oldest ON troubles (at_ms, subject);
`;

/**
 * What is over stands in the order in which it may go, by `keptUntilSql` with the limits of then. New limits need
 * a new version with new indexes: what is collected is right without them, but the old ones are walked over.
 */
const thirdVersion = `
DROP INDEX receipts_settled;
CREATE INDEX receipts_kept
  ON receipts (max(ended_ms + 604800000, exp * 1000 + 900000), sender, run_id, request_digest)
  WHERE acknowledged = 1;
DROP INDEX outbox_settled;
CREATE INDEX outbox_kept ON outbox (max(settled_ms + 604800000, exp * 1000 + 900000), run_id)
  WHERE settled_ms IS NOT NULL;
`;

/** `standsInTheWay` in SQL, to the letter what `receipts_standing` is made of. */
export const standsInTheWaySql =
  "admitted = 1 OR ended_ms IS NULL OR json_extract(terminal, '$.status') <> 'expired'";

/** Who repeats one idempotency key with other contents leaves any number of receipts of one run behind. */
const fourthVersion = `
CREATE INDEX receipts_standing ON receipts (sender, run_id, admitted, request_digest)
  WHERE admitted = 1 OR ended_ms IS NULL OR json_extract(terminal, '$.status') <> 'expired';
`;

/** How long a run has been silent is known without reading all of its frames anew, and whose ends are unpublished. */
const fifthVersion = `
ALTER TABLE outbox ADD COLUMN read_at_ms INTEGER;
CREATE INDEX receipts_sender_unpublished ON receipts (sender) WHERE acknowledged = 0;
`;

/**
 * `keptUntilMs` in SQL. With the limits it is, to the letter, what an index is made of: then only what is old is
 * read. With any other retention that index is read from end to end.
 */
export function keptUntilSql(
  ended: "ended_ms" | "settled_ms",
  { skewMs, retentionMs }: Retention,
): string {
  return `max(${ended} + ${retentionMs}, exp * 1000 + ${3 * skewMs})`;
}

/**
 * What brings a state from each version to the next; a state's version (`user_version`) is the number of
 * these that it has been through. An entry that was released is never changed.
 */
const migrations: readonly string[] = [
  firstVersion,
  secondVersion,
  thirdVersion,
  fourthVersion,
  fifthVersion,
];

/**
 * Brings a state up to this program's version, in one transaction. Throws as `requireKnownVersion` does.
 */
export function migrate(database: SqliteDatabase, steps: readonly string[] = migrations): void {
  if (requireKnownVersion(database, steps) === steps.length) return;
  database.write(() => {
    // Another process may have been faster.
    const version = requireKnownVersion(database, steps);
    for (const step of steps.slice(version)) database.exec(step);
    database.exec(`PRAGMA user_version = ${steps.length}`);
  });
}

/** Makes an empty database a state of version 0, for `migrate` to go on from. */
export function markAsState(database: SqliteDatabase): void {
  database.exec(`PRAGMA application_id = ${applicationId}`);
}

/**
 * The state's version. Throws `STATE_UNSUPPORTED` for a newer one than this program's, and `STATE_DAMAGED`
 * for a database that is no state.
 */
export function requireKnownVersion(
  database: SqliteDatabase,
  steps: readonly string[] = migrations,
): number {
  if (database.get("PRAGMA application_id")?.integer("application_id") !== applicationId) {
    throw new PosternError(
      "STATE_DAMAGED",
      `${database.file} is a database, but no state of Postern: put the right file there`,
    );
  }
  const version = database.get("PRAGMA user_version")?.integer("user_version") ?? 0;
  if (version > steps.length) {
    throw new PosternError(
      "STATE_UNSUPPORTED",
      `${database.file} is a state of version ${version}, and this program knows up to ${steps.length}: use a newer postern`,
    );
  }
  return version;
}
