import { isErrorCode, type ErrorCode } from "../base/errors.ts";
import type { QuarantineEntry } from "../state/state.ts";

/** What was refused, as `quarantine list` and `quarantine show` tell it. */
export function quarantineView(entry: QuarantineEntry) {
  return {
    id: entry.id,
    code: entry.code,
    sender: entry.bucket,
    key: entry.key,
    size: entry.size,
    kept: entry.bytes !== null,
    at: new Date(entry.atMs).toISOString(),
    detail: entry.detail,
    whatToDo: adviceOn(entry),
  };
}

const advice: Readonly<Partial<Record<ErrorCode, string>>> = {
  PEER_UNKNOWN:
    "if you know the sender, compare the fingerprint of its card and run `postern peers add`: it sends again by itself until its request expires",
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

function adviceOn({ code }: QuarantineEntry): string {
  const known = isErrorCode(code) ? advice[code] : undefined;
  return (
    known ?? "it is not what the protocol allows: tell the sender, whose program may be faulty"
  );
}
