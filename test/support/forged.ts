import { toSeconds } from "../../src/base/clock.ts";
import type { GatewayName, ObjectKey, RequestDigest, RunId } from "../../src/base/names.ts";
import { signEnvelope, type Claims } from "../../src/protocol/envelope.ts";
import { encodeFrames, noPrev, type Frame } from "../../src/protocol/frame.ts";
import type { SigningKey } from "../../src/protocol/keys.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { encodeRequest, type RequestPayload } from "../../src/protocol/request.ts";
import { requestDigestOf, runIdOf } from "../../src/protocol/run-id.ts";
import { agent, realm, type Side, type TwoGateways } from "./two-gateways.ts";

/** What is unusual about a request; all else is as an honest asker does it. */
export interface Unusual {
  readonly text?: string;
  readonly idempotencyKey?: string;
  readonly tenant?: string;
  readonly ttlSeconds?: number;
  /** Seconds after now. */
  readonly iatIn?: number;
  readonly iss?: GatewayName;
  readonly aud?: GatewayName;
  /** What `callerIdentity.gateway` says. */
  readonly saysGateway?: GatewayName;
  readonly runId?: RunId;
  readonly signedFor?: string;
  readonly signingKey?: SigningKey;
  /** The payload's bytes. */
  readonly payload?: Uint8Array;
  readonly more?: Partial<RequestPayload>;
}

export interface Planted {
  readonly key: ObjectKey;
  readonly bytes: Uint8Array;
  readonly runId: RunId;
  readonly requestDigest: RequestDigest;
}

/** Signs a request by hand and lays it into the doer's inbox, past whatever the asker remembers. */
export function plantRequest({ clock, store, asker, doer }: TwoGateways, unusual: Unusual = {}) {
  const { text = "hi", idempotencyKey = "k1", tenant, ttlSeconds = 600, iatIn = 0 } = unusual;
  const gateway = unusual.saysGateway ?? asker.name;
  const payload: RequestPayload = {
    agentTarget: agent,
    idempotencyKey,
    callerIdentity: { gateway, ...(tenant === undefined ? {} : { tenant }) },
    body: { kind: "prompt", prompt: { text } },
    ...unusual.more,
  };
  const honestId = runIdOf({
    realm,
    caller: asker.name,
    tenant,
    callee: doer.name,
    idempotencyKey,
  });
  const runId = unusual.runId ?? honestId;
  const key = objectKey({ kind: "request", to: doer.name, from: asker.name, runId });
  const iat = toSeconds(clock.now()) + iatIn;
  const claims: Claims = {
    iss: unusual.iss ?? asker.name,
    aud: unusual.aud ?? doer.name,
    iat,
    exp: iat + ttlSeconds,
  };
  const plain = unusual.payload ?? encodeRequest(payload);
  const binding = { realm, key: unusual.signedFor ?? key };
  const signingKey = unusual.signingKey ?? asker.signingKey;
  const bytes = signEnvelope("request", claims, plain, signingKey, binding);
  store.plant(key, bytes);
  return { key, bytes, runId, requestDigest: requestDigestOf(bytes) } satisfies Planted;
}

export interface Answer {
  readonly runId: RunId;
  readonly requestDigest: RequestDigest;
  readonly attempt?: number;
  readonly seq?: number;
  readonly prev?: Uint8Array;
  readonly frames: readonly Frame[];
  readonly aud?: GatewayName;
  readonly signingKey?: SigningKey;
}

/** Signs one envelope of frames by hand and lays it where the asker looks for it; returns its bytes. */
export function plantFrames({ clock, store, asker, doer }: TwoGateways, answer: Answer) {
  const { runId, requestDigest, attempt = 1, seq = 0, prev = noPrev, frames } = answer;
  const key = framesKeyOf(asker, doer, answer, attempt, seq);
  const claims = { iss: doer.name, aud: answer.aud ?? asker.name, iat: toSeconds(clock.now()) };
  const payload = encodeFrames({ runId, requestDigest, attempt, seq, prev, frames });
  const signingKey = answer.signingKey ?? doer.signingKey;
  const bytes = signEnvelope("frames", claims, payload, signingKey, { realm, key });
  store.plant(key, bytes);
  return { key, bytes };
}

export function framesKeyOf(
  asker: Side,
  doer: Side,
  { runId, requestDigest }: Pick<Answer, "runId" | "requestDigest">,
  attempt = 1,
  seq = 0,
): ObjectKey {
  const digest16 = digest16Of(requestDigest);
  return objectKey({
    kind: "frames",
    to: asker.name,
    from: doer.name,
    runId,
    digest16,
    attempt,
    seq,
  });
}

export function started(attempt = 1): Frame {
  return { event: "started", payload: { agent, attempt }, at: 0 };
}

export function says(text: string): Frame {
  return { event: "textDelta", payload: { text }, at: 0 };
}

export const succeeds: Frame = { event: "terminal", payload: { status: "succeeded" }, at: 0 };
