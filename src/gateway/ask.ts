import { toSeconds } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseAgentAddress, type AgentAddress, type RunId } from "../base/names.ts";
import { requireTrust } from "../mailbox/grants.ts";
import { enqueue, sendIfDue } from "../mailbox/send.ts";
import { newNonce, type Mailbox } from "../mailbox/mailbox.ts";
import type { RequestBody, RequestPayload } from "../protocol/request.ts";
import type { JsonValue } from "../protocol/fields.ts";
import type { OutboxRecord } from "../state/outbox.ts";
import { watchAsking } from "./troubles.ts";

/** Logical names that stand for agents elsewhere: `sre` -> `eu-lab/diagnose`. */
export type Routes = ReadonlyMap<string, AgentAddress>;

export interface Ask {
  /** `gateway/agent`, or a name that the routes resolve. */
  readonly target: string;
  readonly body: RequestBody;
  /** 1 to 256 bytes; a fresh random one when absent. The same key and body never run twice. */
  readonly idempotencyKey?: string;
  /** An earlier run of this gateway that this one continues. */
  readonly continues?: RunId;
  /** How long the result is wanted, in milliseconds from now. */
  readonly deadlineMs?: number;
  /** How long the request may wait to be admitted, in milliseconds; 24 hours when absent. */
  readonly ttlMs?: number;
  readonly agent?: string;
  readonly operator?: string;
  readonly tenant?: string;
  readonly meta?: JsonValue;
}

export interface Asked {
  readonly record: OutboxRecord;
  readonly idempotencyKey: string;
}

/**
 * Commits a request to the outbox. It is not in the store yet: `deliver`, `follow` or a later pass puts it
 * there. Asking again with the same key and body is the same run.
 *
 * Throws `TARGET_UNKNOWN`, `NAME_INVALID`, `PEER_UNKNOWN`, `KEY_REVOKED` or `KEY_OUTSIDE_WINDOW` when no key of the
 * peer counts any more, `TRUST_*`, `IDEMPOTENCY_CONFLICT`, `TTL_INVALID`, `PAYLOAD_INVALID`, `STATE_ELSEWHERE`, or as
 * the state does.
 */
export function ask(box: Mailbox, routes: Routes, request: Ask): Promise<Asked> {
  return watchAsking(box, undefined, () => commit(box, routes, request));
}

async function commit(box: Mailbox, routes: Routes, request: Ask): Promise<Asked> {
  const { gateway, agent } = resolveTarget(request.target, routes);
  await requireTrust(box);
  // Without a key that verifies, no answer could ever be believed.
  box.trust.current().requireUsableKey(gateway, box.clock.now());
  const idempotencyKey = request.idempotencyKey ?? newNonce(box.random);
  const payload: RequestPayload = {
    agentTarget: agent,
    idempotencyKey,
    callerIdentity: {
      gateway: box.self,
      ...(request.agent === undefined ? {} : { agent: request.agent }),
      ...(request.operator === undefined ? {} : { operator: request.operator }),
      ...(request.tenant === undefined ? {} : { tenant: request.tenant }),
    },
    body: request.body,
    ...(request.continues === undefined ? {} : { remoteRunId: request.continues }),
    ...(request.deadlineMs === undefined ? {} : { deadline: deadlineOf(box, request.deadlineMs) }),
    ...(request.meta === undefined ? {} : { meta: request.meta }),
  };
  const record = await enqueue(box, {
    to: gateway,
    payload,
    ttlMs: request.ttlMs ?? limits.defaultTtlMs,
  });
  return { record, idempotencyKey };
}

/** Puts a request that was asked, if that is due. Rejects as the store does: the request is kept and sent later. */
export function deliver(box: Mailbox, { record }: Asked): Promise<void> {
  return watchAsking(box, record.to, () => sendIfDue(box, record, "us"));
}

/** The same for who does not wait for the answer. Rejects with `EXPIRED` where it may never have been put, and will not be. */
export async function deliverInTime(box: Mailbox, asked: Asked): Promise<void> {
  await deliver(box, asked);
  const { runId } = asked.record;
  const record = await box.state.outboxRecord(runId);
  if (record?.sentMs !== null || record.answered || record.state === "closed") return;
  throw new PosternError(
    "EXPIRED",
    `run ${runId} has expired, is not known to have been put into the store, and is sent no more: a new key is new work`,
  );
}

/** Throws `TARGET_UNKNOWN` or `NAME_INVALID`. */
export function resolveTarget(target: string, routes: Routes): AgentAddress {
  if (target.includes("/")) return parseAgentAddress(target);
  const route = routes.get(target);
  if (route !== undefined) return route;
  throw new PosternError(
    "TARGET_UNKNOWN",
    `${JSON.stringify(target)} is no address (gateway/agent) and no name under "routes" in config.json`,
  );
}

function deadlineOf(box: Mailbox, deadlineMs: number): number {
  return toSeconds(box.clock.now() + deadlineMs + 999);
}
