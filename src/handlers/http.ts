import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { utf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { printable } from "../base/printable.ts";
import { emitAll } from "./emit.ts";
import type { Emit, Handler, HandlerResult, Work } from "./handler.ts";
import { OutputCount } from "./output-count.ts";
import { outputReader, type OutputKind } from "./output-reader.ts";
import { requestDocument } from "./request-document.ts";
import { stopReason } from "./stop.ts";

/** Headers by lower-case name. */
export type RequestHeaders = Readonly<Record<string, string>>;

export interface HttpOptions {
  /** Where each request goes: http or https, without credentials. */
  readonly url: string;
  /** What the body of a response is. */
  readonly output: OutputKind;
  /** Headers besides the handler's own, credentials say; asked for each request. */
  readonly readHeaders: () => RequestHeaders;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits?: HttpLimits;
}

export type HttpLimits = Readonly<
  Record<
    | "maxRunOutputBytes"
    | "maxFrameBytes"
    | "handlerConnectMs"
    | "handlerKeepAliveMs"
    | "handlerDrainMs"
    | "handlerFailureLogBytes",
    number
  >
>;

/**
 * POSTs each request, as one JSON document, to one URL, and takes the body of the response for the answer,
 * as it comes (see `output-reader.ts`). Nothing is sent twice and nothing is followed: each request has a
 * connection of its own, straight to the URL, and a redirect is a failure. How long an agent may think before
 * its answer or within it is bounded by the run alone; a machine that is gone is found out by TCP keep-alive.
 * A stop closes the connection, and it is up to the agent to notice.
 *
 * Rejects with `HANDLER_START` when the agent cannot be reached, so that it never saw the request, with
 * `HANDLER_FAILED` for a status outside 2xx and a response that breaks off, `HANDLER_OUTPUT` when the body
 * is too much or not what it should be, and with the signal's reason when it was told to stop.
 */
export function httpHandler(options: HttpOptions): Handler {
  return {
    run: async (work, emit, signal) => {
      if (signal.aborted) throw stopReason(signal);
      return new HttpRun(options, work, signal).run(emit);
    },
  };
}

/** One request and its response. */
class HttpRun {
  readonly #options: HttpOptions;
  readonly #limits: HttpLimits;
  readonly #work: Work;
  readonly #signal: AbortSignal;
  readonly #url: URL;

  constructor(options: HttpOptions, work: Work, signal: AbortSignal) {
    this.#options = options;
    this.#limits = options.limits ?? limits;
    this.#work = work;
    this.#signal = signal;
    this.#url = new URL(options.url);
  }

  async run(emit: Emit): Promise<HandlerResult> {
    const request = this.#open();
    const stop = (): void => void request.destroy();
    this.#signal.addEventListener("abort", stop, { once: true });
    try {
      return await this.#read(await this.#responseTo(request), emit);
    } finally {
      this.#signal.removeEventListener("abort", stop);
      request.destroy();
    }
  }

  #open(): ClientRequest {
    try {
      const send = this.#url.protocol === "https:" ? httpsRequest : httpRequest;
      const body = utf8(JSON.stringify(requestDocument(this.#work)));
      const headers = { ...this.#options.readHeaders(), ...headersOf(this.#work, body) };
      // Without an agent of Node's: its pool may hand out a connection that the other side is just closing,
      // and it goes through the environment's proxy where Node is told to.
      const request = send(this.#url, { method: "POST", agent: false, headers });
      request.end(body);
      return request;
    } catch (cause) {
      throw this.#notStarted("cannot be asked: its operator finds why in the log", cause);
    }
  }

  async #responseTo(request: ClientRequest): Promise<IncomingMessage> {
    const { handlerConnectMs, handlerKeepAliveMs } = this.#limits;
    const connected = new AbortController();
    request.once("socket", (socket: Socket) => {
      socket.setKeepAlive(true, handlerKeepAliveMs);
      const event = socket instanceof TLSSocket ? "secureConnect" : "connect";
      socket.once(event, () => connected.abort());
    });
    void this.#options.clock.sleep(handlerConnectMs, connected.signal).then(() => {
      if (!connected.signal.aborted) request.destroy(timedOut);
    });
    try {
      return await responseOf(request);
    } catch (cause) {
      throw connected.signal.aborted
        ? this.#brokenOff(cause)
        : this.#notStarted(`could not be reached (${codeOf(cause)})`, cause);
    } finally {
      connected.abort();
    }
  }

  async #read(response: IncomingMessage, emit: Emit): Promise<HandlerResult> {
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw await this.#refused(response, status);
    this.#requireReadable(response);
    const reader = outputReader(this.#options.output, this.#limits.maxFrameBytes);
    const count = new OutputCount(this.#limits.maxRunOutputBytes);
    for await (const chunk of this.#chunksOf(response)) {
      count.add(chunk.length);
      await emitAll(reader.read(chunk), emit, this.#signal);
    }
    await emitAll(reader.end(), emit, this.#signal);
    return reader.result();
  }

  async *#chunksOf(response: IncomingMessage): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const chunk of response) {
        if (chunk instanceof Uint8Array) yield chunk;
      }
    } catch (cause) {
      throw this.#brokenOff(cause);
    }
  }

  /** Without a length or chunks, an answer that was cut off looks like a whole one (RFC 9112 section 8). */
  #requireReadable({ headers, statusCode }: IncomingMessage): void {
    const { "content-encoding": encoding = "identity", "transfer-encoding": transfer } = headers;
    const isDelimited =
      statusCode === 204 ||
      headers["content-length"] !== undefined ||
      transfer?.toLowerCase() === "chunked";
    if (isDelimited && encoding.toLowerCase() === "identity") return;
    const what = isDelimited
      ? "encodes its answer: it has to send it as it is"
      : "does not say where its answer ends: it has to send content-length, or chunks";
    throw new PosternError("HANDLER_OUTPUT", `agent ${this.#work.agent} ${what}`);
  }

  async #refused(response: IncomingMessage, status: number): Promise<PosternError> {
    const { runId, agent } = this.#work;
    const body = printable(await this.#startOf(response));
    if (this.#signal.aborted) return stopReason(this.#signal);
    this.#options.log.warn({ runId, agent, status, body }, "handler failed");
    // This travels to the caller: what the agent said may not be meant for it.
    const message = `agent ${agent} answered with status ${status}: its operator finds the rest in the log`;
    return new PosternError("HANDLER_FAILED", message);
  }

  /** What comes of the body in a short while, as far as the log repeats it. */
  async #startOf(response: IncomingMessage): Promise<string> {
    const mostBytes = this.#limits.handlerFailureLogBytes;
    const over = new AbortController();
    const { clock } = this.#options;
    void clock.sleep(this.#limits.handlerDrainMs, over.signal).then(() => void response.destroy());
    let start: Uint8Array = new Uint8Array();
    try {
      for await (const chunk of response) {
        if (!(chunk instanceof Uint8Array)) continue;
        start = Buffer.concat([start, chunk]).subarray(0, mostBytes);
        if (start.length === mostBytes) break;
      }
    } catch {
      // What came until then is enough.
    }
    over.abort();
    return new TextDecoder().decode(start);
  }

  #notStarted(what: string, cause: unknown): PosternError {
    if (this.#signal.aborted) return stopReason(this.#signal);
    const { runId, agent } = this.#work;
    const { host } = this.#url;
    const reason = cause instanceof Error ? printable(cause.message) : "";
    const fields = { runId, agent, host, code: codeOf(cause), reason };
    this.#options.log.error(fields, "handler not started");
    return new PosternError("HANDLER_START", `agent ${agent} ${what}`, { cause });
  }

  #brokenOff(cause: unknown): PosternError {
    if (this.#signal.aborted) return stopReason(this.#signal);
    const { runId, agent } = this.#work;
    const code = codeOf(cause);
    this.#options.log.warn({ runId, agent, code }, "handler failed");
    const message = `the connection to agent ${agent} broke off (${code})`;
    return new PosternError("HANDLER_FAILED", message, { cause });
  }
}

const timedOut = Object.assign(new Error("there was no connection in time"), { code: "ETIMEDOUT" });

/** Resolves once the head of the response is there; rejects when there will be none. */
function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    // One that comes after the response would end this process if nobody listened.
    request.once("error", reject);
    request.once("close", () => reject(new Error("the connection was closed without a response")));
  });
}

/** No value here is a text of the caller's choosing: names, numbers and the run id alone. */
function headersOf({ runId, caller, agent, deadline }: Work, body: Uint8Array): RequestHeaders {
  return {
    "content-type": "application/json",
    "content-length": `${body.length}`,
    "accept-encoding": "identity",
    "postern-run-id": runId,
    "postern-caller": caller,
    "postern-agent": agent,
    ...(deadline === null ? {} : { "postern-deadline": `${deadline}` }),
    // A quoted string, as draft-ietf-httpapi-idempotency-key-header wants it.
    "idempotency-key": `"${runId}"`,
  };
}

function codeOf(thrown: unknown): string {
  return errnoOf(thrown) ?? "unknown";
}
