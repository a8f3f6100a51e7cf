import fc from "fast-check";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import {
  isAgentName,
  isGatewayName,
  isRequestDigest,
  isRunId,
  parseAgentName,
  parseGatewayName,
  parseRealm,
  type AgentName,
  type GatewayName,
  type RequestDigest,
  type RunId,
} from "../../src/base/names.ts";
import { encodeCard, decodeCard, type CardPayload } from "../../src/protocol/card.ts";
import type { CborValue } from "../../src/protocol/cbor.ts";
import {
  signEnvelope,
  type Binding,
  type Claims,
  type EnvelopeKind,
} from "../../src/protocol/envelope.ts";
import type { JsonValue } from "../../src/protocol/fields.ts";
import {
  decodeFrames,
  encodeFrames,
  noPrev,
  terminalStatuses,
  type Frame,
  type FrameEvent,
  type FramesPayload,
  type HandlerEvent,
  type TerminalPayload,
} from "../../src/protocol/frame.ts";
import { signingKeyFromSeed, type SigningKey } from "../../src/protocol/keys.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { decodeOwner, encodeOwner, type OwnerPayload } from "../../src/protocol/owner.ts";
import {
  decodeCancel,
  decodeRequest,
  encodeCancel,
  encodeRequest,
  type CancelPayload,
  type RequestBody,
  type RequestPayload,
} from "../../src/protocol/request.ts";
import { requestDigestOf, runIdOf } from "../../src/protocol/run-id.ts";

export const realm = parseRealm("prod");
export const caller = parseGatewayName("us-desk");
export const callee = parseGatewayName("eu-lab.example");
export const callerKey = signingKeyFromSeed(new Uint8Array(32).fill(1));
export const calleeKey = signingKeyFromSeed(new Uint8Array(32).fill(2));
export const strangerKey = signingKeyFromSeed(new Uint8Array(32).fill(3));

const idempotencyKey = "ticket-4711";
const runId = runIdOf({ realm, caller, tenant: undefined, callee, idempotencyKey });
const requestDigest = requestDigestOf(utf8("any request"));

export const requestSample: RequestPayload = {
  agentTarget: parseAgentName("diagnose"),
  idempotencyKey,
  callerIdentity: { gateway: caller, agent: "sre", operator: "ada", tenant: "blue" },
  remoteRunId: runId,
  body: {
    kind: "toolCall",
    toolCall: { name: "restart", input: { host: "db-1", tries: [1, 2.5, -3] } },
  },
  deadline: 1_790_000_000,
  via: [parseGatewayName("hub")],
  meta: { note: null, urgent: true },
};

export const cancelSample: CancelPayload = { runId, requestDigest };

export const framesSample: FramesPayload = {
  runId,
  requestDigest,
  attempt: 1,
  seq: 0,
  prev: noPrev,
  frames: [
    {
      event: "started",
      payload: { agent: parseAgentName("diagnose"), attempt: 1 },
      at: 1_790_000_000_123,
    },
    { event: "textDelta", payload: { text: "hällo" }, at: 1_790_000_000_456 },
    {
      event: "terminal",
      payload: { status: "succeeded", result: { load: 0.75 } },
      at: 1_790_000_000_789,
    },
  ],
};

export const cardSample: CardPayload = {
  realm,
  gateway: callee,
  version: 3,
  keys: [calleeKey.publicKey],
  agents: [
    { name: parseAgentName("diagnose"), description: "Looks and tells" },
    { name: parseAgentName("plan") },
  ],
  maxRequestBytes: limits.maxEnvelopeBytes,
};

export const ownerSample: OwnerPayload = { generation: 2, nonce: "abcdefghijklmnopqrstuvwxyz" };

/** One envelope of each kind, as it would lie in the store, and what reads its payload. */
export interface EnvelopeSample {
  readonly kind: EnvelopeKind;
  readonly claims: Claims;
  readonly key: SigningKey;
  readonly binding: Binding;
  readonly payload: Uint8Array;
  readonly envelope: Uint8Array;
  readonly decode: (payload: Uint8Array) => unknown;
}

const asked: Claims = { iss: caller, aud: callee, iat: 1_789_000_000, exp: 1_789_086_400 };
const place = { from: caller, to: callee, runId, digest16: digest16Of(requestDigest) };

export const envelopeSamples: readonly EnvelopeSample[] = [
  sampleOf(
    "request",
    asked,
    callerKey,
    objectKey({ kind: "request", ...place }),
    encodeRequest(requestSample),
    decodeRequest,
  ),
  sampleOf(
    "cancel",
    asked,
    callerKey,
    objectKey({ kind: "cancel", ...place }),
    encodeCancel(cancelSample),
    decodeCancel,
  ),
  sampleOf(
    "frames",
    { iss: callee, aud: caller, iat: 1_789_000_100 },
    calleeKey,
    objectKey({ kind: "frames", ...place, from: callee, to: caller, attempt: 1, seq: 0 }),
    encodeFrames(framesSample),
    decodeFrames,
  ),
  sampleOf(
    "card",
    { iss: callee, iat: 1_789_000_000, exp: 1_799_000_000 },
    calleeKey,
    objectKey({ kind: "card", gateway: callee, version: 3 }),
    encodeCard(cardSample),
    decodeCard,
  ),
  sampleOf(
    "owner",
    { iss: callee, iat: 1_789_000_000 },
    calleeKey,
    objectKey({ kind: "owner", gateway: callee, generation: 2 }),
    encodeOwner(ownerSample),
    decodeOwner,
  ),
];

function sampleOf(
  kind: EnvelopeKind,
  claims: Claims,
  key: SigningKey,
  objectKeyText: string,
  payload: Uint8Array,
  decode: (payload: Uint8Array) => unknown,
): EnvelopeSample {
  const binding = { realm, key: objectKeyText };
  return {
    kind,
    claims,
    key,
    binding,
    payload,
    decode,
    envelope: signEnvelope(kind, claims, payload, key, binding),
  };
}

// What the property tests draw from.

/** Records as they are decoded: plain objects. */
function record<T, K extends keyof T = keyof T>(
  model: { [Key in keyof T]: fc.Arbitrary<T[Key]> },
  constraints: { requiredKeys?: K[] } = {},
) {
  return fc.record(model, { noNullPrototype: true, ...constraints });
}

const codePoints = fc
  .oneof(fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((point) => String.fromCodePoint(point));

/** Any text of whole code points, byte order marks and names of prototypes among them. */
export const texts: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: codePoints }),
  fc.string({ unit: "grapheme-ascii" }),
  fc.constantFrom(
    "__proto__",
    "constructor",
    "toString",
    "1",
    "\u{feff}",
    `\u{feff}${"x".repeat(80)}`,
    "\u{0}",
  ),
);

export const numbers: fc.Arbitrary<number> = fc
  .oneof(
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(
      0,
      23,
      24,
      255,
      256,
      65_535,
      65_536,
      2 ** 31,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 53 - 1,
      2 ** 53,
      1e300,
    ),
  )
  .chain((number) => fc.constantFrom(number, -number))
  // The one number that has no form of its own.
  .map((number) => (number === 0 ? 0 : number));

export const cborValues: fc.Arbitrary<CborValue> = fc.letrec<{
  value: CborValue;
  list: CborValue;
  map: CborValue;
}>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, depthSize: "small" },
    fc.oneof(fc.constant(null), fc.boolean(), numbers, texts, fc.uint8Array({ maxLength: 300 })),
    tie("list"),
    tie("map"),
  ),
  list: fc.array(tie("value"), { maxLength: 8 }),
  map: fc
    .array(fc.tuple(fc.oneof(texts, fc.maxSafeInteger()), tie("value")), { maxLength: 30 })
    .map((entries) => new Map(entries)),
})).value;

const jsonValues: fc.Arbitrary<JsonValue> = fc.letrec<{
  value: JsonValue;
  list: JsonValue;
  map: JsonValue;
}>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    fc.oneof(fc.constant(null), fc.boolean(), numbers, texts),
    tie("list"),
    tie("map"),
  ),
  list: fc.array(tie("value"), { maxLength: 6 }),
  map: fc
    .array(fc.tuple(texts, tie("value")), { maxLength: 6 })
    .map((entries) => Object.fromEntries(entries)),
})).value;

const letters = fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789");
const labels = fc
  .string({
    unit: fc.oneof({ weight: 9, arbitrary: letters }, { weight: 1, arbitrary: fc.constant("-") }),
    minLength: 1,
    maxLength: 20,
  })
  .filter(isAgentName);
const agentNames: fc.Arbitrary<AgentName> = labels;
export const gatewayNames: fc.Arbitrary<GatewayName> = fc
  .array(labels, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join("."))
  .filter(isGatewayName);

const base32 = fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz234567");
const base32Texts = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: base32, minLength: length, maxLength: length });
export const runIds: fc.Arbitrary<RunId> = base32Texts(52).filter(isRunId);
export const requestDigests: fc.Arbitrary<RequestDigest> = base32Texts(52).filter(isRequestDigest);
export const nonces: fc.Arbitrary<string> = base32Texts(26);
export const attempts: fc.Arbitrary<number> = fc.integer({ min: 1, max: limits.maxAttempt });
export const seqs: fc.Arbitrary<number> = fc.integer({ min: 0, max: limits.maxSeq });
export const versions: fc.Arbitrary<number> = fc.integer({ min: 1, max: 9_999_999_999 });

/** Texts of 1 to `most` bytes. */
function shortTexts(most: number): fc.Arbitrary<string> {
  return fc.oneof(texts, fc.constant("é".repeat(most / 2))).filter((text) => {
    const size = utf8(text).length;
    return size > 0 && size <= most;
  });
}

const times = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const bodies: fc.Arbitrary<RequestBody> = fc.oneof(
  record({ kind: fc.constant("prompt" as const), prompt: record({ text: texts }) }),
  record({
    kind: fc.constant("toolCall" as const),
    toolCall: record({ name: shortTexts(limits.maxToolNameBytes), input: jsonValues }),
  }),
  record({
    kind: fc.constant("approvalGrant" as const),
    approvalGrant: fc.uint8Array({ maxLength: 200 }),
  }),
);

export const requests: fc.Arbitrary<RequestPayload> = record(
  {
    agentTarget: agentNames,
    idempotencyKey: shortTexts(limits.maxIdempotencyKeyBytes),
    callerIdentity: record(
      {
        gateway: gatewayNames,
        agent: shortTexts(limits.maxToolNameBytes),
        operator: shortTexts(limits.maxToolNameBytes),
        tenant: shortTexts(limits.maxTenantBytes),
      },
      { requiredKeys: ["gateway"] },
    ),
    body: bodies,
    remoteRunId: runIds,
    deadline: times,
    via: fc.uniqueArray(gatewayNames, { maxLength: limits.maxVia }),
    meta: jsonValues,
  },
  { requiredKeys: ["agentTarget", "idempotencyKey", "callerIdentity", "body"] },
);

export const cancels: fc.Arbitrary<CancelPayload> = record({
  runId: runIds,
  requestDigest: requestDigests,
});

export const owners: fc.Arbitrary<OwnerPayload> = record({ generation: versions, nonce: nonces });

export const cards: fc.Arbitrary<CardPayload> = record({
  realm: fc.constant(realm),
  gateway: gatewayNames,
  version: versions,
  keys: fc.subarray([callerKey.publicKey, calleeKey.publicKey, strangerKey.publicKey], {
    minLength: 1,
  }),
  agents: fc.array(
    record({ name: agentNames, description: shortTexts(512) }, { requiredKeys: ["name"] }),
    { maxLength: 5 },
  ),
  maxRequestBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
});

const ids = shortTexts(limits.maxToolNameBytes);
const codes = shortTexts(64);
const messages = fc.oneof(fc.constant(""), shortTexts(limits.maxErrorMessageBytes));
const counts = times;

export const handlerEvents: fc.Arbitrary<HandlerEvent> = fc.oneof(
  record({ event: fc.constant("textDelta" as const), payload: record({ text: texts }) }),
  record({
    event: fc.constant("tokenUsage" as const),
    payload: record(
      {
        inputTokens: counts,
        outputTokens: counts,
        totalTokens: counts,
        model: fc.oneof(fc.constant(""), ids),
      },
      { requiredKeys: ["inputTokens", "outputTokens", "totalTokens"] },
    ),
  }),
  record({
    event: fc.constant("toolCall" as const),
    payload: record({ id: ids, name: ids, input: jsonValues }),
  }),
  record({
    event: fc.constant("toolResult" as const),
    payload: record({ id: ids, output: jsonValues, isError: fc.boolean() }),
  }),
  record({
    event: fc.constant("phaseEnd" as const),
    payload: record({ phase: shortTexts(limits.maxPhaseBytes) }),
  }),
  record({
    event: fc.constant("error" as const),
    payload: record({ code: codes, message: messages, retryable: fc.boolean() }),
  }),
);

const errors = record({ code: codes, message: messages });
const results = record({ result: jsonValues }, { requiredKeys: [] });
export const terminals: fc.Arbitrary<TerminalPayload> = fc.oneof(
  results.map((result) => ({ status: "succeeded" as const, ...result })),
  fc
    .tuple(
      fc.constantFrom(...terminalStatuses.filter((status) => status !== "succeeded")),
      results,
      errors,
    )
    .map(([status, result, error]) => ({ status, ...result, error })),
);

/** Envelopes of frames as an attempt may have them: from its beginning or its middle, ended or not. */
export const framePayloads: fc.Arbitrary<FramesPayload> = fc
  .record({
    runId: runIds,
    requestDigest: requestDigests,
    attempt: attempts,
    begins: fc.boolean(),
    seq: fc.integer({ min: 1, max: limits.maxSeq - 10 }),
    prev: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    agent: agentNames,
    said: fc.array(handlerEvents, { maxLength: 5 }),
    terminal: fc.option(terminals, { nil: undefined }),
    at: times,
  })
  .map(({ begins, agent, said, terminal, at, ...rest }): FramesPayload => {
    const started: FrameEvent[] = begins
      ? [{ event: "started", payload: { agent, attempt: rest.attempt } }]
      : [];
    const ended: FrameEvent[] =
      terminal === undefined ? [] : [{ event: "terminal", payload: terminal }];
    const events = [...started, ...said, ...ended];
    const frames = events.map((event): Frame => ({ ...event, at }));
    return { ...rest, frames, ...(begins ? { seq: 0, prev: noPrev } : {}) };
  })
  .filter((payload) => payload.frames.length > 0);
