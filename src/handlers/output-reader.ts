import { fromUtf8, utf8 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import type { JsonValue } from "../protocol/fields.ts";
import type { HandlerEvent } from "../protocol/frame.ts";
import {
  EventReader,
  isObject,
  maxTextBytesOf,
  parseJson,
  textDelta,
  unusable,
} from "./event-reader.ts";
import type { HandlerResult } from "./handler.ts";

/** What an agent's output is. `text`: the answer. `jsonl`: an event on each line. */
export type OutputKind = "text" | "jsonl";

/** Makes events of the bytes that an agent puts out. Both methods throw `HANDLER_OUTPUT`. */
export interface OutputReader {
  read(chunk: Uint8Array): Iterable<HandlerEvent>;
  /** What was held back for more to come; called once, and only for an agent that succeeded. */
  end(): Iterable<HandlerEvent>;
  /** Complete after `end`. */
  result(): HandlerResult;
}

const newline = 0x0a;

export function outputReader(output: OutputKind, maxFrameBytes: number): OutputReader {
  return output === "text" ? new TextReader(maxFrameBytes) : new JsonLinesReader(maxFrameBytes);
}

/**
 * Output that is the answer itself: each chunk of it becomes a `textDelta`, bytes that are no UTF-8 become
 * U+FFFD, and the whole text is the result, which has to fit into one frame.
 */
class TextReader implements OutputReader {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #maxTextBytes: number;
  readonly #texts: string[] = [];
  #bytes = 0;

  constructor(maxFrameBytes: number) {
    this.#maxTextBytes = maxTextBytesOf(maxFrameBytes);
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
 * Output in lines, each a JSON object as `EventReader` takes it; blank lines are skipped. The last may be
 * `{"result": value}`; without it the result is what the events come to.
 */
class JsonLinesReader implements OutputReader {
  readonly #events: EventReader;
  #unfinished: Uint8Array[] = [];
  #line = 0;
  #result: { readonly result: JsonValue } | undefined;

  constructor(maxFrameBytes: number) {
    this.#events = new EventReader(maxFrameBytes);
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
    return this.#result ?? this.#events.result();
  }

  #endLine(): Iterable<HandlerEvent> {
    const bytes = Buffer.concat(this.#unfinished);
    this.#unfinished = [];
    this.#line += 1;
    try {
      const text = fromUtf8(bytes);
      return text.trim() === "" ? [] : this.#take(parseJson(text));
    } catch (thrown) {
      throw unusable(`line ${this.#line} of the output`, thrown);
    }
  }

  #take(value: JsonValue): Iterable<HandlerEvent> {
    if (this.#result !== undefined) {
      throw new PosternError("HANDLER_OUTPUT", "nothing may follow the line with the result");
    }
    this.#result = resultOf(value);
    return this.#result === undefined ? this.#events.read(value) : [];
  }
}

/** The line `{"result": value}`, or undefined for any other. */
function resultOf(line: JsonValue): { readonly result: JsonValue } | undefined {
  if (!isObject(line)) return undefined;
  const [entry, ...more] = Object.entries(line);
  return entry?.[0] === "result" && more.length === 0 ? { result: entry[1] } : undefined;
}
