import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { GatewayName, ObjectKey, Realm, WorkerId } from "../base/names.ts";
import type { Random } from "../base/random.ts";
import { toBase32 } from "../base/bytes.ts";
import { parseEnvelope, type Claims, type EnvelopeKind } from "../protocol/envelope.ts";
import type { SigningKey } from "../protocol/keys.ts";
import type { State } from "../state/state.ts";
import type { Store } from "../store/store.ts";
import type { Trust } from "../trust/trust.ts";

/** The present trust document, read anew for each decision. `current` throws a `TRUST_*` code. */
export interface TrustSource {
  current(): Trust;
}

/** Whether the process behind a worker id is known to be gone; false when nobody can tell. */
export interface Liveness {
  readonly self: WorkerId;
  isGone(worker: WorkerId): boolean;
}

/** One gateway's view of the shared store, and everything it needs to use it. */
export interface Mailbox {
  readonly self: GatewayName;
  readonly realm: Realm;
  readonly signingKey: SigningKey;
  readonly store: Store;
  readonly state: State;
  readonly trust: TrustSource;
  readonly liveness: Liveness;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** What a verified envelope says, and which key said it. */
export interface Opened {
  readonly claims: Claims;
  readonly kid: string;
  readonly payload: Uint8Array;
}

/**
 * Verifies an object that a peer signed for `key`. Throws `CBOR_*`, `COSE_*`, `CLAIMS_INVALID`,
 * `PEER_UNKNOWN`, `KEY_*`, `SIGNATURE_INVALID`, or `TRUST_*` when the own trust document cannot be used.
 */
export function openFromPeer(
  box: Mailbox,
  kind: EnvelopeKind,
  key: ObjectKey,
  bytes: Uint8Array,
): Opened {
  const envelope = parseEnvelope(kind, bytes);
  const trust = box.trust.current();
  const nowMs = box.clock.now();
  trust.requireCurrent(nowMs);
  const signer = trust.gatewayKey(envelope.claims, envelope.kid, nowMs);
  const payload = envelope.verify(signer, { realm: box.realm, key });
  return { claims: envelope.claims, kid: envelope.kid, payload };
}

/** 16 random bytes in base32: what tells one claim, or one lease, from every other. */
export function newNonce(random: Random): string {
  return toBase32(random.bytes(16));
}
