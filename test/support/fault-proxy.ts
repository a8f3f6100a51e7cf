import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { forward, passOn, take, type Answer, type Taken } from "./forward.ts";
import { close, listen } from "./listen.ts";

/** What can befall one request on its way to the store and back. */
export const faultKinds = [
  /** The connection breaks off, and nothing reaches the store. */
  "drop-request",
  /** Half of the body reaches the store, or only the head where there is none. */
  "cut-request",
  /** It reaches the store a while after the client was told that the connection broke off. */
  "late-request",
  /** It reaches the store twice, one after the other; the client gets the second answer. */
  "repeat-request",
  /** It is held up before it reaches the store. */
  "delay-request",
  /** The store has done it, and the connection breaks off. */
  "drop-response",
  /** Half of the answer's body comes back, or only its head where it has none. */
  "cut-response",
  /** The store has done it, and the answer never comes. */
  "hang-response",
  /** The store is not asked: it is said to be busy. */
  "busy",
] as const;
export type Fault = (typeof faultKinds)[number];

/** Draws what befalls the next request; undefined for nothing. */
export type DrawFault = (request: {
  readonly method: string;
  readonly path: string;
}) => Fault | undefined;

export interface FaultProxyOptions {
  /** The store's origin. */
  readonly target: string;
  readonly draw: DrawFault;
  /** By how much `delay-request` and `late-request` hold up; in milliseconds. */
  readonly delayMs: () => number;
}

/** Stands between a client and an S3. */
export class FaultProxy implements AsyncDisposable {
  readonly #options: FaultProxyOptions;
  readonly #target: URL;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server = createServer((request, response) => {
    // A client that is gone is what some of the faults are about.
    this.#serve(request, response).catch(() => response.destroy());
  });
  readonly #late = new Set<Promise<unknown>>();
  readonly #counts = new Map<Fault, number>();
  #endpoint = "";

  private constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#target = new URL(options.target);
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    proxy.#endpoint = await listen(proxy.#server);
    return proxy;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  /** How often each fault has happened. */
  get counts(): ReadonlyMap<Fault, number> {
    return this.#counts;
  }

  /** Resolves once everything that was held back has reached the store. */
  async settled(): Promise<void> {
    while (this.#late.size > 0) await Promise.allSettled(this.#late);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await close(this.#server);
    await this.settled();
    this.#agent.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const taken = await take(request);
    const fault = this.#options.draw(taken);
    if (fault !== undefined) this.#counts.set(fault, (this.#counts.get(fault) ?? 0) + 1);
    switch (fault) {
      case "drop-request":
        response.destroy();
        return;
      case "cut-request":
        await this.#forwardHalf(taken);
        response.destroy();
        return;
      case "late-request":
        response.destroy();
        this.#later(taken);
        return;
      case "repeat-request":
        await this.#forward(taken);
        respond(response, await this.#forward(taken));
        return;
      case "delay-request":
        await delay(this.#options.delayMs());
        respond(response, await this.#forward(taken));
        return;
      case "drop-response":
        await this.#forward(taken);
        response.destroy();
        return;
      case "cut-response":
        respondHalf(response, await this.#forward(taken));
        return;
      case "hang-response":
        await this.#forward(taken);
        return;
      case "busy":
        respond(response, slowDown);
        return;
      case undefined:
        respond(response, await this.#forward(taken));
    }
  }

  #later(taken: Taken): void {
    const late = delay(this.#options.delayMs())
      .then(() => this.#forward(taken))
      .catch(() => undefined)
      .finally(() => this.#late.delete(late));
    this.#late.add(late);
  }

  #forward(taken: Taken): Promise<Answer> {
    return forward(this.#target, this.#agent, taken);
  }

  /** Resolves once the store has had what it gets of it. */
  async #forwardHalf(taken: Taken): Promise<void> {
    const forwarded = passOn(this.#target, this.#agent, taken);
    const over = once(forwarded, "close");
    forwarded.on("error", () => undefined);
    forwarded.flushHeaders();
    forwarded.write(taken.body.subarray(0, Math.floor(taken.body.length / 2)), () =>
      forwarded.destroy(),
    );
    await over;
  }
}

const slowDown: Answer = {
  status: 503,
  headers: { "content-type": "application/xml" },
  body: Buffer.from(
    "<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>",
  ),
};

function respond(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers).end(body);
}

function respondHalf(response: ServerResponse, { status, headers, body }: Answer): void {
  const length = body.length === 0 ? {} : { "content-length": body.length };
  response.writeHead(status, { ...headers, ...length });
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
}
