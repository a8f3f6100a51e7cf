import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { objectKey } from "../protocol/object-key.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { decodeRequest, type RequestPayload } from "../protocol/request.ts";
import { runIdOf } from "../protocol/run-id.ts";
import { openFromPeer, type Mailbox } from "./mailbox.ts";

/** A request whose signature and content are in order for this gateway. */
export interface VerifiedRequest {
  /** What a receipt of it says, whoever works on it. */
  readonly received: ReceivedRequest;
  readonly payload: RequestPayload;
}

export type ReceivedRequest = RunRef &
  Pick<Receipt, "request" | "agent" | "kind" | "tenant" | "continues" | "iat" | "exp" | "deadline">;

/**
 * Verifies a request's bytes under the name that they were put under. Throws the code that the object
 * is quarantined with, or `TRUST_*` when the own trust document cannot be used.
 */
export function verifyRequest(box: Mailbox, run: RunRef, bytes: Uint8Array): VerifiedRequest {
  const key = objectKey({ kind: "request", to: box.self, from: run.from, runId: run.runId });
  const opened = openFromPeer(box, "request", key, bytes);
  const { iss, aud, iat, exp } = opened.claims;
  const payload = decodeRequest(opened.payload);
  if (iss !== run.from)
    throw new PosternError("ISSUER_MISMATCH", `signed by ${iss}, lies under ${run.from}`);
  if (aud !== box.self)
    throw new PosternError("AUDIENCE_MISMATCH", "the request is for another gateway");
  if (payload.callerIdentity.gateway !== iss) {
    throw new PosternError("ISSUER_MISMATCH", "callerIdentity.gateway is not who signed");
  }
  if (run.runId !== ownRunId(box, run, payload)) {
    throw new PosternError("RUN_ID_MISMATCH", "the request's name is not the hash of its content");
  }
  if (exp === undefined || exp <= iat || (exp - iat) * 1000 > limits.maxTtlMs) {
    throw new PosternError(
      "TTL_INVALID",
      `exp must be after iat, by at most ${limits.maxTtlMs / 1000} seconds`,
    );
  }
  return {
    received: {
      ...run,
      request: bytes,
      agent: payload.agentTarget,
      kind: payload.body.kind,
      tenant: payload.callerIdentity.tenant ?? null,
      continues: payload.remoteRunId ?? null,
      iat,
      exp,
      deadline: payload.deadline ?? null,
    },
    payload,
  };
}

function ownRunId(box: Mailbox, { from }: RunRef, request: RequestPayload): string {
  return runIdOf({
    realm: box.realm,
    caller: from,
    tenant: request.callerIdentity.tenant,
    callee: box.self,
    idempotencyKey: request.idempotencyKey,
  });
}
