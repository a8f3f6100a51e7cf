import { toBase64Url } from "../base/bytes.ts";
import type { JsonValue } from "../protocol/fields.ts";
import type { CallerIdentity } from "../protocol/request.ts";
import type { Work } from "./handler.ts";

/** A request as an agent reads it: one JSON document, the same for every kind of handler. */
export interface RequestDocument {
  readonly v: 1;
  readonly runId: string;
  /** The gateway that asks. */
  readonly caller: string;
  readonly agent: string;
  /** From 1; a run that is started again after a crash has the next. */
  readonly attempt: number;
  /** Seconds since 1970 after which the result is no longer wanted, or null. */
  readonly deadline: number | null;
  /** The caller's own name for what it asks. */
  readonly idempotencyKey: string;
  readonly callerIdentity: CallerIdentity;
  /** Exactly one of these three is there. */
  readonly prompt?: { readonly text: string };
  readonly toolCall?: { readonly name: string; readonly input: JsonValue };
  /** base64url. */
  readonly approvalGrant?: string;
  /** An earlier run of the same caller that this one continues or approves. */
  readonly remoteRunId?: string;
  /** The gateways this work has passed through. */
  readonly via?: readonly string[];
  readonly meta?: JsonValue;
}

export function requestDocument(work: Work): RequestDocument {
  const { callerIdentity, remoteRunId, via, meta, idempotencyKey } = work.request;
  const { runId, caller, agent, attempt, deadline } = work;
  return {
    v: 1,
    runId,
    caller,
    agent,
    attempt,
    deadline,
    ...askedOf(work),
    callerIdentity,
    ...(remoteRunId === undefined ? {} : { remoteRunId }),
    ...(via === undefined ? {} : { via }),
    ...(meta === undefined ? {} : { meta }),
    idempotencyKey,
  };
}

function askedOf({ request: { body } }: Work) {
  switch (body.kind) {
    case "prompt":
      return { prompt: body.prompt };
    case "toolCall":
      return { toolCall: body.toolCall };
    case "approvalGrant":
      return { approvalGrant: toBase64Url(body.approvalGrant) };
  }
}
