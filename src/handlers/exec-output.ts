import { fromUtf8, utf8 } from "../base/bytes.ts";
import { asPosternError, PosternError } from "../base/errors.ts";
import { isJsonValue, type JsonValue } from "../protocol/fields.ts";
import { parseHandlerEvent, type HandlerEvent } from "../protocol/frame.ts";
import type { HandlerResult } from "./handler.ts";

/** Makes events of what a program writes to stdout. Both methods throw `HANDLER_OUTPUT`. */
export interface OutputReader {
  read(chunk: Uint8Array): Iterable<HandlerEvent>;
  /** What was held back for more to come; called once, and only for a program that succeeded. */
  end(): Iterable<HandlerEvent>;
  /** Complete after `end`. */
  result(): HandlerResult;
}

/** What a frame holds besides its text or value: names and times. */
const frameOverheadBytes = 1024;
const newline = 0x0a;

/**
 * Output that is the answer itself: each chunk of it becomes a `textDelta`, bytes that are no UTF-8 become
 * U+FFFD, and the whole text is the result, which has to fit into one frame.
 */
export class TextReader implements OutputReader {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #maxTextBytes: number;
  readonly #texts: string[] = [];
  #bytes = 0;

  constructor(maxFrameBytes: number) {
    this.#maxTextBytes = maxFrameBytes - frameOverheadBytes;
  }

  read(chunk: Uint8Array): Iterable<HandlerEvent> {
    return this.#deltas(this.#decoder.decode(chunk, { stream: true }));
  }

  end(): Iterable<HandlerEvent> {
    return this.#deltas(this.#decoder.decode());
  }

  result(): HandlerResult {
    return { result: this.#texts.join("") };
  }

  #deltas(text: string): Iterable<HandlerEvent> {
    if (text === "") return [];
    this.#bytes += utf8(text).length;
    if (this.#bytes > this.#maxTextBytes) {
      const what = `an answer of plain text has at most ${this.#maxTextBytes} bytes: use lines of events for more`;
      throw new PosternError("HANDLER_OUTPUT", what);
    }
    this.#texts.push(text);
    return [textDelta(text)];
  }
}

/**
 * Output in lines, each a JSON object `{"event", "payload"}` of the handler's own vocabulary; blank lines are
 * skipped. The last may be `{"result": value}`; without it the texts together are the result, if there are
 * any and they fit into one frame. Longer ones were sent all the same, and the run has no result.
 */
export class JsonLinesReader implements OutputReader {
  readonly #maxTextBytes: number;
  /** The texts so far, or undefined once they are too long to be a result. */
  #texts: string[] | undefined = [];
  #textBytes = 0;
  #unfinished: Uint8Array[] = [];
  #line = 0;
  #result: { readonly value: JsonValue } | undefined;

  constructor(maxFrameBytes: number) {
    this.#maxTextBytes = maxFrameBytes - frameOverheadBytes;
  }

  *read(chunk: Uint8Array): Iterable<HandlerEvent> {
    let rest = chunk;
    for (let at = rest.indexOf(newline); at >= 0; at = rest.indexOf(newline)) {
      this.#unfinished.push(rest.subarray(0, at));
      rest = rest.subarray(at + 1);
      yield* this.#endLine();
    }
    if (rest.length > 0) this.#unfinished.push(rest);
  }

  end(): Iterable<HandlerEvent> {
    return this.#unfinished.length > 0 ? this.#endLine() : [];
  }

  result(): HandlerResult {
    if (this.#result !== undefined) return { result: this.#result.value };
    if (this.#texts === undefined || this.#texts.length === 0) return {};
    return { result: this.#texts.join("") };
  }

  #endLine(): Iterable<HandlerEvent> {
    const bytes = Buffer.concat(this.#unfinished);
    this.#unfinished = [];
    this.#line += 1;
    try {
      const text = fromUtf8(bytes);
      return text.trim() === "" ? [] : this.#take(parseJson(text));
    } catch (thrown) {
      throw this.#badLine(thrown);
    }
  }

  #take(value: JsonValue): Iterable<HandlerEvent> {
    if (this.#result !== undefined) {
      throw new PosternError("HANDLER_OUTPUT", "nothing may follow the line with the result");
    }
    this.#result = resultOf(value);
    if (this.#result !== undefined) return [];
    const event = parseHandlerEvent(value);
    if (event.event !== "textDelta") return [event];
    this.#keep(event.payload.text);
    return textDeltas(event.payload.text, this.#maxTextBytes);
  }

  #keep(text: string): void {
    this.#textBytes += Buffer.byteLength(text);
    if (this.#textBytes > this.#maxTextBytes) this.#texts = undefined;
    this.#texts?.push(text);
  }

  /** Says which line, and what is wrong about it; not what it holds, because this travels to the caller. */
  #badLine(cause: unknown): PosternError {
    const message = `line ${this.#line} of the program's output cannot be used: ${reasonOf(cause)}`;
    return new PosternError("HANDLER_OUTPUT", message, { cause });
  }
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

function textDelta(text: string): HandlerEvent {
  return { event: "textDelta", payload: { text } };
}

/** Whether a byte of UTF-8 continues a character (RFC 3629 section 3). */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** The value of `{"result": value}`, or undefined for a line that is none. */
function resultOf(line: JsonValue): { readonly value: JsonValue } | undefined {
  if (typeof line !== "object" || line === null || Array.isArray(line)) return undefined;
  const [entry, ...more] = Object.entries(line);
  return entry?.[0] === "result" && more.length === 0 ? { value: entry[1] } : undefined;
}

function parseJson(text: string): JsonValue {
  const value: unknown = JSON.parse(text);
  if (isJsonValue(value)) return value;
  throw new SyntaxError("JSON.parse made something that is no JSON value");
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof SyntaxError) return "it is not JSON";
  return thrown instanceof RangeError ? "it is nested too deeply" : asPosternError(thrown).message;
}
