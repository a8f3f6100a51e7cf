import { sha256 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import {
  isAgentName,
  isRequestDigest,
  isRunId,
  type AgentName,
  type RequestDigest,
  type RunId,
} from "../base/names.ts";
import { decodeCbor, encodeCbor, type CborInput, type CborValue } from "./cbor.ts";
import { Fields, type JsonValue } from "./fields.ts";
import { payloadFields } from "./request.ts";

export const terminalStatuses = [
  "succeeded",
  "failed",
  "cancelled",
  "refused",
  "expired",
  "interrupted",
] as const;
export type TerminalStatus = (typeof terminalStatuses)[number];

/** How a run ended. `error` is there unless it succeeded. */
export interface TerminalPayload {
  readonly status: TerminalStatus;
  readonly result?: JsonValue;
  readonly error?: { readonly code: string; readonly message: string };
}

/** What a handler may say while it runs; `at` is milliseconds since 1970 by the callee's clock. */
export type HandlerEvent =
  | { readonly event: "textDelta"; readonly payload: { readonly text: string } }
  | { readonly event: "tokenUsage"; readonly payload: TokenUsage }
  | {
      readonly event: "toolCall";
      readonly payload: { readonly id: string; readonly name: string; readonly input: JsonValue };
    }
  | {
      readonly event: "toolResult";
      readonly payload: {
        readonly id: string;
        readonly output: JsonValue;
        readonly isError: boolean;
      };
    }
  | { readonly event: "phaseEnd"; readonly payload: { readonly phase: string } }
  | {
      readonly event: "error";
      readonly payload: {
        readonly code: string;
        readonly message: string;
        readonly retryable: boolean;
      };
    };

export interface TokenUsage {
  /** Cumulative counts of the whole run so far. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly model?: string;
}

export type FrameEvent =
  | HandlerEvent
  | {
      readonly event: "started";
      readonly payload: { readonly agent: AgentName; readonly attempt: number };
    }
  | { readonly event: "terminal"; readonly payload: TerminalPayload };

export type Frame = FrameEvent & { readonly at: number };

/** One envelope of 1..n consecutive frames (SPEC.md, Frames). */
export interface FramesPayload {
  readonly runId: RunId;
  readonly requestDigest: RequestDigest;
  readonly attempt: number;
  /** Number of the first frame within the attempt, from 0. */
  readonly seq: number;
  /** SHA-256 of the previous envelope of this attempt; 32 zero bytes at seq 0. */
  readonly prev: Uint8Array;
  readonly frames: readonly Frame[];
}

/** `prev` of the first envelope of an attempt. */
export const noPrev: Uint8Array = new Uint8Array(32);

/** What the envelope after `envelope` carries as `prev`. */
export function chainOf(envelope: Uint8Array): Uint8Array {
  return sha256(envelope);
}

const code = { minBytes: 1, maxBytes: 64 };
const id = { minBytes: 1, maxBytes: limits.maxToolNameBytes };
const message = { maxBytes: limits.maxErrorMessageBytes };

/** Throws `PAYLOAD_INVALID` for what `decodeFrames` would refuse. */
export function encodeFrames(payload: FramesPayload): Uint8Array {
  const frames = payload.frames.map(({ event, payload: said, at }): CborInput => ({
    event,
    payload: { ...said },
    at,
  }));
  const bytes = encodeCbor({ v: 1, ...payload, frames });
  decodeFrames(bytes);
  return bytes;
}

/** Throws `VERSION_UNSUPPORTED`, `PAYLOAD_INVALID` or a `CBOR_*` code. */
export function decodeFrames(bytes: Uint8Array): FramesPayload {
  const fields = payloadFields(decodeCbor(bytes), "frames");
  const attempt = fields.integer("attempt", 1, limits.maxAttempt);
  const seq = fields.integer("seq", 0, limits.maxSeq);
  const prev = fields.bytes("prev", 32);
  const frames = fields
    .list("frames", limits.maxFramesPerEnvelope)
    .map((item, index) => frameOf(item, `frames.frames[${index}]`));
  requirePlaces(frames, attempt, seq);
  if (seq === 0 && prev.some((byte) => byte !== 0))
    throw invalid("frames.prev must be zero at seq 0");
  return {
    runId: fields.name("runId", "a run id", isRunId),
    requestDigest: fields.name("requestDigest", "a request digest", isRequestDigest),
    attempt,
    seq,
    prev,
    frames,
  };
}

/** `started` opens an attempt that runs, `terminal` closes one, and neither stands anywhere else. */
function requirePlaces(frames: readonly Frame[], attempt: number, seq: number): void {
  const [first] = frames;
  if (first === undefined) throw invalid("frames.frames must not be empty");
  if (seq + frames.length - 1 > limits.maxSeq)
    throw invalid("frames.seq leaves no room for its frames");
  for (const [index, frame] of frames.entries()) {
    if (frame.event === "started") {
      if (seq + index !== 0) throw invalid("`started` must be the first frame of its attempt");
      if (frame.payload.attempt !== attempt)
        throw invalid("`started` must name the attempt it opens");
    }
    if (frame.event === "terminal" && index !== frames.length - 1)
      throw invalid("`terminal` must be the last frame");
  }
  if (seq === 0 && first.event !== "started" && first.event !== "terminal") {
    throw invalid("an attempt begins with `started`, or holds only its `terminal`");
  }
}

function frameOf(item: CborValue, where: string): Frame {
  const fields = new Fields(item, where);
  return { ...eventOf(fields), at: fields.integer("at", 0) };
}

const handlerEvents = [
  "textDelta",
  "tokenUsage",
  "toolCall",
  "toolResult",
  "phaseEnd",
  "error",
] as const;
const frameEvents = ["started", ...handlerEvents, "terminal"] as const;

function eventOf(fields: Fields): FrameEvent {
  const event = fields.oneOf("event", frameEvents);
  const payload = fields.map("payload");
  switch (event) {
    case "started":
      return {
        event,
        payload: {
          agent: payload.name("agent", "an agent name", isAgentName),
          attempt: payload.integer("attempt", 1, limits.maxAttempt),
        },
      };
    case "terminal":
      return { event, payload: terminalOf(payload) };
    default:
      return handlerEventOf(event, payload);
  }
}

function handlerEventOf(event: (typeof handlerEvents)[number], payload: Fields): HandlerEvent {
  switch (event) {
    case "textDelta":
      return {
        event,
        payload: { text: payload.text("text", { maxBytes: limits.maxEnvelopeBytes }) },
      };
    case "tokenUsage": {
      const model = payload.optionalText("model", { maxBytes: limits.maxToolNameBytes });
      return {
        event,
        payload: {
          inputTokens: payload.integer("inputTokens", 0),
          outputTokens: payload.integer("outputTokens", 0),
          totalTokens: payload.integer("totalTokens", 0),
          ...(model === undefined ? {} : { model }),
        },
      };
    }
    case "toolCall":
      return {
        event,
        payload: {
          id: payload.text("id", id),
          name: payload.text("name", id),
          input: payload.json("input"),
        },
      };
    case "toolResult":
      return {
        event,
        payload: {
          id: payload.text("id", id),
          output: payload.json("output"),
          isError: payload.boolean("isError"),
        },
      };
    case "phaseEnd":
      return {
        event,
        payload: { phase: payload.text("phase", { minBytes: 1, maxBytes: limits.maxPhaseBytes }) },
      };
    case "error":
      return {
        event,
        payload: {
          code: payload.text("code", code),
          message: payload.text("message", message),
          retryable: payload.boolean("retryable"),
        },
      };
  }
}

/**
 * The event that a handler's JSON line describes. Throws `PAYLOAD_INVALID` for an event that is not a
 * handler's to say, or that is malformed, and a `CBOR_*` code for JSON that has no form on the wire.
 */
export function parseHandlerEvent(value: JsonValue): HandlerEvent {
  const fields = new Fields(decodeCbor(encodeCbor(value)), "event");
  return handlerEventOf(fields.oneOf("event", handlerEvents), fields.map("payload"));
}

function terminalOf(payload: Fields): TerminalPayload {
  const status = payload.oneOf("status", terminalStatuses);
  const result = payload.optionalJson("result");
  const error = payload.optionalMap("error");
  if ((error === undefined) !== (status === "succeeded")) {
    throw invalid("`terminal` has an error exactly when it did not succeed");
  }
  return {
    status,
    ...(result === undefined ? {} : { result }),
    ...(error === undefined
      ? {}
      : { error: { code: error.text("code", code), message: error.text("message", message) } }),
  };
}

function invalid(what: string): PosternError {
  return new PosternError("PAYLOAD_INVALID", what);
}
