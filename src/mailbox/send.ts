import { toSeconds } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName, RunId } from "../base/names.ts";
import { signEnvelope } from "../protocol/envelope.ts";
import { digest16Of, objectKey } from "../protocol/object-key.ts";
import {
  encodeCancel,
  encodeRequest,
  intentDigestOf,
  type RequestPayload,
} from "../protocol/request.ts";
import { requestDigestOf, runIdOf } from "../protocol/run-id.ts";
import type { OutboxRecord } from "../state/outbox.ts";
import type { Mailbox } from "./mailbox.ts";
import { stateElsewhere } from "./owner.ts";
import { putExactly } from "./put-exactly.ts";

export interface Outgoing {
  readonly to: GatewayName;
  /** `callerIdentity.gateway` is this gateway. */
  readonly payload: RequestPayload;
  /** How long the request may wait to be admitted, in milliseconds; at most `limits.maxTtlMs`. */
  readonly ttlMs: number;
}

/**
 * Remembers a request, so that it can be sent now and again: after this it is this gateway's to deliver
 * (SPEC.md, Sending). The same idempotencyKey and intent is the same run, whose record is returned.
 *
 * Throws `IDEMPOTENCY_CONFLICT` when another intent stands under the key, `STATE_ELSEWHERE`,
 * `TTL_INVALID`, `PAYLOAD_INVALID`, or as the state does.
 */
export async function enqueue(box: Mailbox, outgoing: Outgoing): Promise<OutboxRecord> {
  if ((await box.state.owner()).elsewhere) throw stateElsewhere(box);
  const { to, payload } = outgoing;
  const runId = runIdOf({
    realm: box.realm,
    caller: box.self,
    tenant: payload.callerIdentity.tenant,
    callee: to,
    idempotencyKey: payload.idempotencyKey,
  });
  const intentDigest = intentDigestOf(payload);
  const standing = await box.state.outboxRecord(runId);
  const record = standing ?? sign(box, runId, intentDigest, outgoing);
  const opened =
    standing === undefined
      ? await box.state.openOutbox(record)
      : { status: "following", record: standing };
  if (opened.status !== "opened") await box.state.sync();
  if (opened.status === "conflict" || opened.record.intentDigest !== intentDigest) {
    throw new PosternError(
      "IDEMPOTENCY_CONFLICT",
      `the idempotencyKey already names another request to ${to} (run ${runId}): use a new key for new work`,
    );
  }
  return opened.record;
}

function sign(
  box: Mailbox,
  runId: RunId,
  intentDigest: string,
  { to, payload, ttlMs }: Outgoing,
): OutboxRecord {
  const openedMs = box.clock.now();
  const iat = toSeconds(openedMs);
  const exp = iat + Math.floor(ttlMs / 1000);
  if (exp <= iat || ttlMs > limits.maxTtlMs) {
    throw new PosternError(
      "TTL_INVALID",
      `a time to live is 1 second to ${limits.maxTtlMs / 86_400_000} days`,
    );
  }
  const key = objectKey({ kind: "request", to, from: box.self, runId });
  const plain = encodeRequest(payload);
  const claims = { iss: box.self, aud: to, iat, exp };
  const envelope = signEnvelope("request", claims, plain, box.signingKey, {
    realm: box.realm,
    key,
  });
  return {
    runId,
    to,
    key,
    envelope,
    requestDigest: requestDigestOf(envelope),
    payload: plain,
    intentDigest,
    iat,
    exp,
    deadline: payload.deadline ?? null,
    openedMs,
    sentMs: null,
    answered: false,
    displaced: false,
    state: "open",
    closedMs: null,
    terminal: null,
    cancel: null,
    read: null,
  };
}

/**
 * Puts the request when that is due: at once the first time, now and then
 * while no answer has come, rarely afterwards, never past its expiry. Always the same bytes. Rejects as
 * store and state do; it is due again then.
 */
export async function sendIfDue(
  box: Mailbox,
  record: OutboxRecord,
  committedBy: "us" | "anyone" = "anyone",
): Promise<void> {
  const nowMs = box.clock.now();
  if (record.state === "closed" || nowMs >= record.exp * 1000 || !isDue(record, nowMs)) return;
  if ((await box.state.owner()).elsewhere) return;
  // Another process may have committed it this very moment.
  if (committedBy === "anyone") await box.state.sync();
  // Only the first put of a request is read back: afterwards `exists` means that it still waits.
  const displaced = await put(box, record);
  await box.state.noteOutbox(record, { sentMs: nowMs, displaced });
}

/** Puts a cancel that was committed once more: its run may go on long after the request has expired. */
export async function repeatCancel(box: Mailbox, record: OutboxRecord): Promise<void> {
  if (record.cancel === null || record.state === "closed") return;
  if ((await box.state.owner()).elsewhere) return;
  await box.store.put(record.cancel.key, record.cancel.envelope);
}

function isDue(record: OutboxRecord, nowMs: number): boolean {
  if (record.sentMs === null || nowMs < record.sentMs) return true;
  return nowMs - record.sentMs >= (record.answered ? limits.resendAnsweredMs : limits.resendMs);
}

async function put(box: Mailbox, record: OutboxRecord): Promise<boolean> {
  if (record.sentMs !== null && !record.displaced) {
    await box.store.put(record.key, record.envelope);
    return false;
  }
  const displaced = (await putExactly(box.store, record.key, record.envelope)) === "other";
  if (displaced) {
    box.log.warn(
      { key: record.key },
      "another object stands under a request's key: sending again until it expires",
    );
  }
  return displaced;
}

/**
 * Asks the callee to stop a run: commits the signed cancel, then puts it. Does nothing for a closed run.
 * Throws `RUN_UNKNOWN`, `STATE_ELSEWHERE`, or as store and state do; a cancel that was committed is put again later.
 */
export async function cancelRun(box: Mailbox, runId: RunId): Promise<void> {
  const record = await box.state.outboxRecord(runId);
  if (record === undefined)
    throw new PosternError("RUN_UNKNOWN", `no run ${runId} was asked from here`);
  if (record.state === "closed") return;
  if ((await box.state.owner()).elsewhere) throw stateElsewhere(box);
  await box.state.noteOutbox(record, { cancel: record.cancel ?? signCancel(box, record) });
  // The first one stands, which another process may have committed this very moment.
  await box.state.sync();
  const { cancel } = (await box.state.outboxRecord(runId)) ?? record;
  if (cancel !== null) await box.store.put(cancel.key, cancel.envelope);
}

function signCancel(box: Mailbox, record: OutboxRecord): NonNullable<OutboxRecord["cancel"]> {
  const { to, runId, requestDigest, exp } = record;
  const key = objectKey({
    kind: "cancel",
    to,
    from: box.self,
    runId,
    digest16: digest16Of(requestDigest),
  });
  const iat = toSeconds(box.clock.now());
  const claims = { iss: box.self, aud: to, iat, exp: Math.max(exp, iat + 1) };
  const payload = encodeCancel({ runId, requestDigest });
  return {
    key,
    envelope: signEnvelope("cancel", claims, payload, box.signingKey, { realm: box.realm, key }),
  };
}
