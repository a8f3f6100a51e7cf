import { fromUtf8, utf8 } from "../base/bytes.ts";
import { asPosternError, PosternError } from "../base/errors.ts";
import { isJsonValue, type JsonValue } from "../protocol/fields.ts";
import { parseHandlerEvent, type HandlerEvent } from "../protocol/frame.ts";
import type { HandlerResult } from "./handler.ts";

/** What a frame holds besides its text or value: names and times. */
const frameOverheadBytes = 1024;

/** The longest text that fits into one frame. */
export function maxTextBytesOf(maxFrameBytes: number): number {
  return maxFrameBytes - frameOverheadBytes;
}

/**
 * Makes events of what an agent says value by value, each `{"event", "payload"}` of the handler's own
 * vocabulary. The texts together are the result, if there are any and they fit into one frame. Longer ones
 * are handed on all the same, and there is no result.
 */
export class EventReader {
  readonly #maxTextBytes: number;
  /** The texts so far, or undefined once they are too long to be a result. */
  #texts: string[] | undefined = [];
  #textBytes = 0;

  constructor(maxFrameBytes: number) {
    this.#maxTextBytes = maxTextBytesOf(maxFrameBytes);
  }

  /** Throws as `parseHandlerEvent` does, and for a result beside an event: whoever reads it would miss one. */
  read(value: JsonValue): Iterable<HandlerEvent> {
    if (isObject(value) && Object.hasOwn(value, "result")) {
      throw new PosternError("HANDLER_OUTPUT", "a result has no place in an event");
    }
    const event = parseHandlerEvent(value);
    if (event.event !== "textDelta") return [event];
    this.#keep(event.payload.text);
    return textDeltas(event.payload.text, this.#maxTextBytes);
  }

  result(): HandlerResult {
    if (this.#texts === undefined || this.#texts.length === 0) return {};
    return { result: this.#texts.join("") };
  }

  #keep(text: string): void {
    this.#textBytes += Buffer.byteLength(text);
    if (this.#textBytes > this.#maxTextBytes) this.#texts = undefined;
    this.#texts?.push(text);
  }
}

export function textDelta(text: string): HandlerEvent {
  return { event: "textDelta", payload: { text } };
}

/** Throws `SyntaxError`, or `RangeError` for what is nested too deeply. */
export function parseJson(text: string): JsonValue {
  const value: unknown = JSON.parse(text);
  if (isJsonValue(value)) return value;
  throw new SyntaxError("JSON.parse made something that is no JSON value");
}

/** Says what is wrong about a piece of output; not what it holds, because this travels to the caller. */
export function unusable(what: string, cause: unknown): PosternError {
  return new PosternError("HANDLER_OUTPUT", `${what} cannot be used: ${reasonOf(cause)}`, {
    cause,
  });
}

export function isObject(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof SyntaxError) return "it is not JSON";
  return thrown instanceof RangeError ? "it is nested too deeply" : asPosternError(thrown).message;
}

/** Splits between characters, never inside one. */
function* textDeltas(text: string, maxBytes: number): Iterable<HandlerEvent> {
  const bytes = utf8(text);
  let start = 0;
  while (bytes.length - start > maxBytes) {
    let end = start + maxBytes;
    while (isContinuation(bytes[end])) end -= 1;
    yield textDelta(fromUtf8(bytes.subarray(start, end)));
    start = end;
  }
  yield textDelta(start === 0 ? text : fromUtf8(bytes.subarray(start)));
}

/** Whether a byte of UTF-8 continues a character (RFC 3629 section 3). */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
