import { sha256, toBase32 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import {
  isAgentName,
  isGatewayName,
  isRequestDigest,
  isRunId,
  type AgentName,
  type GatewayName,
  type RequestDigest,
  type RunId,
} from "../base/names.ts";
import { decodeCbor, encodeCbor, type CborInput, type CborValue } from "./cbor.ts";
import { Fields, type JsonValue } from "./fields.ts";

export const requestKinds = ["prompt", "toolCall", "approvalGrant"] as const;
export type RequestKind = (typeof requestKinds)[number];

/** What is asked: exactly one kind (SPEC.md, Request). */
export type RequestBody =
  | { readonly kind: "prompt"; readonly prompt: { readonly text: string } }
  | {
      readonly kind: "toolCall";
      readonly toolCall: { readonly name: string; readonly input: JsonValue };
    }
  /** A signed approval for the run that `remoteRunId` names; carried as it is, never interpreted here. */
  | { readonly kind: "approvalGrant"; readonly approvalGrant: Uint8Array };

/** Who asks, as the calling gateway vouches for it. Only `gateway` is proven; nothing here grants anything. */
export interface CallerIdentity {
  readonly gateway: GatewayName;
  readonly agent?: string;
  readonly operator?: string;
  readonly tenant?: string;
}

export interface RequestPayload {
  readonly agentTarget: AgentName;
  readonly idempotencyKey: string;
  readonly callerIdentity: CallerIdentity;
  /** An earlier run of the same caller and tenant that this one continues or approves. */
  readonly remoteRunId?: RunId;
  readonly body: RequestBody;
  /** Seconds since 1970 after which the result is no longer wanted. */
  readonly deadline?: number;
  /** The gateways this work has passed through. */
  readonly via?: readonly GatewayName[];
  readonly meta?: JsonValue;
}

const maxTextBytes = limits.maxEnvelopeBytes;
const name128 = { minBytes: 1, maxBytes: limits.maxToolNameBytes };

/** Throws `PAYLOAD_INVALID` for what `decodeRequest` would refuse. */
export function encodeRequest(payload: RequestPayload): Uint8Array {
  const bytes = encodeCbor(requestMap(payload, payload.deadline));
  decodeRequest(bytes);
  return bytes;
}

/** The digest of what is asked, without times: two sends of the same key and intent are one run. */
export function intentDigestOf(payload: RequestPayload): string {
  return toBase32(sha256(encodeCbor(requestMap(payload, undefined))));
}

function requestMap(payload: RequestPayload, deadline: number | undefined): CborInput {
  const { body, callerIdentity, ...rest } = payload;
  const asked: CborInput =
    body.kind === "prompt"
      ? { prompt: { text: body.prompt.text } }
      : body.kind === "toolCall"
        ? { toolCall: { name: body.toolCall.name, input: body.toolCall.input } }
        : { approvalGrant: body.approvalGrant };
  return {
    v: 1,
    agentTarget: rest.agentTarget,
    idempotencyKey: rest.idempotencyKey,
    callerIdentity: { ...callerIdentity },
    remoteRunId: rest.remoteRunId,
    deadline,
    via: rest.via,
    meta: rest.meta,
    ...asked,
  };
}

/**
 * Reads a request's payload. Unknown keys are ignored. Throws `VERSION_UNSUPPORTED`, `PAYLOAD_INVALID` or
 * a `CBOR_*` code.
 */
export function decodeRequest(bytes: Uint8Array): RequestPayload {
  const fields = payloadFields(decodeCbor(bytes), "request");
  const remoteRunId = fields.optionalName("remoteRunId", "a run id", isRunId);
  const deadline = fields.optionalInteger("deadline", 0);
  const meta = fields.optionalJson("meta");
  const via = fields.has("via") ? viaOf(fields) : undefined;
  return {
    agentTarget: fields.name("agentTarget", "an agent name", isAgentName),
    idempotencyKey: fields.text("idempotencyKey", {
      minBytes: 1,
      maxBytes: limits.maxIdempotencyKeyBytes,
    }),
    callerIdentity: callerIdentityOf(fields.map("callerIdentity")),
    body: bodyOf(fields),
    ...(remoteRunId === undefined ? {} : { remoteRunId }),
    ...(deadline === undefined ? {} : { deadline }),
    ...(via === undefined ? {} : { via }),
    ...(meta === undefined ? {} : { meta }),
  };
}

/** The fields of a payload of version 1. Throws `VERSION_UNSUPPORTED` or `PAYLOAD_INVALID`. */
export function payloadFields(value: CborValue, where: string): Fields {
  const fields = new Fields(value, where);
  const version = fields.integer("v", 1);
  if (version !== 1) {
    throw new PosternError(
      "VERSION_UNSUPPORTED",
      `${where}.v is ${version}, and this gateway reads version 1`,
    );
  }
  return fields;
}

function callerIdentityOf(fields: Fields): CallerIdentity {
  const agent = fields.optionalText("agent", name128);
  const operator = fields.optionalText("operator", name128);
  const tenant = fields.optionalText("tenant", { minBytes: 1, maxBytes: limits.maxTenantBytes });
  return {
    gateway: fields.name("gateway", "a gateway name", isGatewayName),
    ...(agent === undefined ? {} : { agent }),
    ...(operator === undefined ? {} : { operator }),
    ...(tenant === undefined ? {} : { tenant }),
  };
}

function bodyOf(fields: Fields): RequestBody {
  const [kind, ...more] = requestKinds.filter((candidate) => fields.has(candidate));
  if (kind === undefined || more.length > 0) {
    throw new PosternError(
      "PAYLOAD_INVALID",
      `request must have exactly one of ${requestKinds.join(", ")}`,
    );
  }
  switch (kind) {
    case "prompt":
      return {
        kind,
        prompt: { text: fields.map("prompt").text("text", { maxBytes: maxTextBytes }) },
      };
    case "toolCall": {
      const call = fields.map("toolCall");
      return { kind, toolCall: { name: call.text("name", name128), input: call.json("input") } };
    }
    case "approvalGrant":
      return { kind, approvalGrant: fields.byteString("approvalGrant", maxTextBytes) };
  }
}

function viaOf(fields: Fields): GatewayName[] {
  const via = fields.list("via", limits.maxVia).map((item) => {
    if (typeof item === "string" && isGatewayName(item)) return item;
    throw new PosternError("PAYLOAD_INVALID", "request.via must list gateway names");
  });
  if (new Set(via).size !== via.length) {
    throw new PosternError("PAYLOAD_INVALID", "request.via must name no gateway twice");
  }
  return via;
}

/** Asks to stop the run that one exact request started (SPEC.md, Cancel). */
export interface CancelPayload {
  readonly runId: RunId;
  readonly requestDigest: RequestDigest;
}

export function encodeCancel(payload: CancelPayload): Uint8Array {
  return encodeCbor({ v: 1, runId: payload.runId, requestDigest: payload.requestDigest });
}

/** Throws `VERSION_UNSUPPORTED`, `PAYLOAD_INVALID` or a `CBOR_*` code. */
export function decodeCancel(bytes: Uint8Array): CancelPayload {
  const fields = payloadFields(decodeCbor(bytes), "cancel");
  return {
    runId: fields.name("runId", "a run id", isRunId),
    requestDigest: fields.name("requestDigest", "a request digest", isRequestDigest),
  };
}
