// Keys named `constructor` mislead the comparison of `expect`.
import { deepStrictEqual } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256, utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName } from "../../src/base/names.ts";
import { decodeCbor, encodeCbor, type CborValue } from "../../src/protocol/cbor.ts";
import {
  chainOf,
  decodeFrames,
  encodeFrames,
  noPrev,
  parseHandlerEvent,
  type Frame,
  type FramesPayload,
} from "../../src/protocol/frame.ts";
import { toJson, type JsonValue } from "../../src/protocol/fields.ts";
import { codeOf } from "../base/code-of.ts";
import { framePayloads, framesSample, handlerEvents } from "./samples.ts";

const at = 1_790_000_000_000;
const agent = parseAgentName("diagnose");
const started: Frame = { event: "started", payload: { agent, attempt: 1 }, at };
const text: Frame = { event: "textDelta", payload: { text: "a" }, at };
const done: Frame = { event: "terminal", payload: { status: "succeeded" }, at };
const prev = sha256(utf8("the envelope before"));

function texts(count: number): Frame[] {
  return Array.from({ length: count }, () => text);
}

function encoded(changes: Partial<FramesPayload>): string {
  return codeOf(() => encodeFrames({ ...framesSample, ...changes }));
}

describe("an envelope of frames", () => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(framePayloads, (payload) => {
        deepStrictEqual(decodeFrames(encodeFrames(payload)), payload);
      }),
      { numRuns: 500 },
    );
  });

  test("names the one before it by its SHA-256", () => {
    expect(chainOf(utf8("the envelope before"))).toEqual(prev);
    expect(noPrev).toEqual(new Uint8Array(32));
  });

  test.each<[string, Partial<FramesPayload>, string]>([
    ["what a first envelope may hold", { frames: [started, text, done] }, "accepted"],
    ["`started` alone", { frames: [started] }, "accepted"],
    ["a terminal alone", { frames: [done] }, "accepted"],
    ["a later envelope", { seq: 3, prev, frames: [text, text] }, "accepted"],
    ["a later terminal", { seq: 3, prev, frames: [done] }, "accepted"],
    ["the last number", { seq: limits.maxSeq, prev, frames: [done] }, "accepted"],
    ["no frame", { frames: [] }, "PAYLOAD_INVALID"],
    ["no `started` at the beginning", { frames: [text] }, "PAYLOAD_INVALID"],
    ["`started` twice", { frames: [started, started] }, "PAYLOAD_INVALID"],
    ["`started` later", { seq: 3, prev, frames: [started] }, "PAYLOAD_INVALID"],
    ["`started` of another attempt", { attempt: 2, frames: [started] }, "PAYLOAD_INVALID"],
    ["something after the terminal", { frames: [started, done, text] }, "PAYLOAD_INVALID"],
    ["two terminals", { seq: 3, prev, frames: [done, done] }, "PAYLOAD_INVALID"],
    ["a chain before the first", { prev, frames: [started] }, "PAYLOAD_INVALID"],
    ["a short chain", { seq: 3, prev: prev.subarray(1), frames: [text] }, "PAYLOAD_INVALID"],
    ["attempt 0", { attempt: 0 }, "PAYLOAD_INVALID"],
    [
      "an attempt with five digits",
      { attempt: limits.maxAttempt + 1, frames: [done] },
      "PAYLOAD_INVALID",
    ],
    ["a negative number", { seq: -1 }, "PAYLOAD_INVALID"],
    [
      "a number with eleven digits",
      { seq: limits.maxSeq + 1, prev, frames: [text] },
      "PAYLOAD_INVALID",
    ],
    [
      "no room for its frames' numbers",
      { seq: limits.maxSeq, prev, frames: [text, text] },
      "PAYLOAD_INVALID",
    ],
    [
      "as many frames as allowed",
      { seq: 1, prev, frames: texts(limits.maxFramesPerEnvelope) },
      "accepted",
    ],
    [
      "one frame more",
      { seq: 1, prev, frames: texts(limits.maxFramesPerEnvelope + 1) },
      "PAYLOAD_INVALID",
    ],
    ["a time with a fraction", { frames: [{ ...started, at: 0.5 }] }, "PAYLOAD_INVALID"],
    ["a time before 1970", { frames: [{ ...started, at: -1 }] }, "PAYLOAD_INVALID"],
  ])("with %s", (_, changes, code) => {
    expect(encoded(changes)).toBe(code);
  });
});

describe("a terminal", () => {
  const error = { code: "HANDLER_FAILED", message: "it broke" };
  const ends = (payload: Record<string, JsonValue>): string => {
    const frame = { event: "terminal", payload, at };
    const { frames: _, ...rest } = framesSample;
    return codeOf(() => decodeFrames(encodeCbor({ v: 1, ...rest, frames: [frame] })));
  };

  test.each(["failed", "cancelled", "refused", "expired", "interrupted"])(
    "that %s says why",
    (status) => {
      expect(ends({ status, error })).toBe("accepted");
      expect(ends({ status, error, result: { so: "far" } })).toBe("accepted");
      expect(ends({ status })).toBe("PAYLOAD_INVALID");
    },
  );

  test("that succeeded has no error, and any result or none", () => {
    expect(ends({ status: "succeeded" })).toBe("accepted");
    expect(ends({ status: "succeeded", result: null })).toBe("accepted");
    expect(ends({ status: "succeeded", error })).toBe("PAYLOAD_INVALID");
  });

  test.each<[string, Record<string, JsonValue>]>([
    ["no status", { error }],
    ["an unknown status", { status: "unknown", error }],
    ["an empty code", { status: "failed", error: { ...error, code: "" } }],
    ["a long code", { status: "failed", error: { ...error, code: "A".repeat(65) } }],
    ["no message", { status: "failed", error: { code: "HANDLER_FAILED" } }],
    [
      "a long message",
      {
        status: "failed",
        error: { ...error, message: "x".repeat(limits.maxErrorMessageBytes + 1) },
      },
    ],
  ])("has not %s", (_, payload) => {
    expect(ends(payload)).toBe("PAYLOAD_INVALID");
  });
});

describe("a frame as it was received", () => {
  function received(frame: CborValue): string {
    const { frames: _, ...rest } = framesSample;
    return codeOf(() => decodeFrames(encodeCbor({ v: 1, ...rest, seq: 1, prev, frames: [frame] })));
  }
  const map = (entries: Record<string, CborValue>): CborValue => new Map(Object.entries(entries));
  const payload = map({ text: "a" });

  test.each<[string, CborValue, string]>([
    ["what it should have", map({ event: "textDelta", payload, at }), "accepted"],
    [
      "keys not known yet",
      map({ event: "textDelta", payload: map({ text: "a", bold: true }), at, x: 1 }),
      "accepted",
    ],
    ["an event not known", map({ event: "approvalRequired", payload, at }), "PAYLOAD_INVALID"],
    ["an event of a prototype", map({ event: "constructor", payload, at }), "PAYLOAD_INVALID"],
    ["no event", map({ payload, at }), "PAYLOAD_INVALID"],
    ["no payload", map({ event: "textDelta", at }), "PAYLOAD_INVALID"],
    ["no time", map({ event: "textDelta", payload }), "PAYLOAD_INVALID"],
    ["a payload that is a list", map({ event: "textDelta", payload: [], at }), "PAYLOAD_INVALID"],
    ["no map", "textDelta", "PAYLOAD_INVALID"],
    [
      "a text that is bytes",
      map({ event: "textDelta", payload: map({ text: utf8("a") }), at }),
      "PAYLOAD_INVALID",
    ],
    [
      "a phase without a name",
      map({ event: "phaseEnd", payload: map({ phase: "" }), at }),
      "PAYLOAD_INVALID",
    ],
    [
      "bytes where JSON should be",
      map({ event: "toolCall", payload: map({ id: "1", name: "a", input: utf8("a") }), at }),
      "PAYLOAD_INVALID",
    ],
    [
      "counts that are no integers",
      map({
        event: "tokenUsage",
        payload: map({ inputTokens: 0.5, outputTokens: 0, totalTokens: 0 }),
        at,
      }),
      "PAYLOAD_INVALID",
    ],
  ])("with %s", (_, frame, code) => {
    expect(received(frame)).toBe(code);
  });

  test("of version 2 is not read", () => {
    expect(codeOf(() => decodeFrames(encodeCbor({ ...framesSample, frames: [], v: 2 })))).toBe(
      "VERSION_UNSUPPORTED",
    );
  });
});

describe("what a handler says", () => {
  test("is read as its event", () => {
    fc.assert(
      fc.property(handlerEvents, (event) => {
        const line = toJson(
          decodeCbor(encodeCbor({ event: event.event, payload: { ...event.payload } })),
          "line",
        );
        deepStrictEqual(parseHandlerEvent(line), event);
      }),
    );
  });

  test.each<[string, JsonValue]>([
    ["started", { event: "started", payload: { agent, attempt: 1 } }],
    ["terminal", { event: "terminal", payload: { status: "succeeded" } }],
    ["unknown", { event: "__proto__", payload: {} }],
    ["no object", "textDelta"],
    ["a list", []],
    ["without a payload", { event: "textDelta" }],
    ["with a number as text", { event: "textDelta", payload: { text: 1 } }],
    [
      "with a flag as text",
      { event: "error", payload: { code: "A", message: "b", retryable: "no" } },
    ],
  ])("is not %s", (_, line) => {
    expect(codeOf(() => parseHandlerEvent(line))).toBe("PAYLOAD_INVALID");
  });

  test("has a form in CBOR: JSON can say more, and that is refused with a code", () => {
    const deep = JSON.parse(`${"[".repeat(50)}${"]".repeat(50)}`) as JsonValue;
    const call = (input: JsonValue): string =>
      codeOf(() =>
        parseHandlerEvent({ event: "toolCall", payload: { id: "1", name: "a", input } }),
      );
    expect(call(deep)).toBe("CBOR_TOO_DEEP");
    expect(call(JSON.parse('"\\ud800"') as JsonValue)).toBe("CBOR_FORBIDDEN");
    expect(call("x".repeat(limits.maxEnvelopeBytes))).toBe("CBOR_TOO_LARGE");
    expect(call(JSON.parse("-0") as JsonValue)).toBe("accepted");
  });
});
