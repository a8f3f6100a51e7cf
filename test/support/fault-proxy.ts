import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { errorAnswer, Proxy, respond, type Answer, type Taken } from "./proxy.ts";

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
  readonly #proxy: Proxy;
  /** What may still reach the store, whether its client waits for it or not. */
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #counts = new Map<Fault, number>();

  private constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#proxy = new Proxy(options.target, (taken, response) =>
      this.#tracked(this.#serve(taken, response)),
    );
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await proxy.#proxy.listen();
    return proxy;
  }

  get endpoint(): string {
    return this.#proxy.endpoint;
  }

  /** How often each fault has happened. */
  get counts(): ReadonlyMap<Fault, number> {
    return this.#counts;
  }

  /**
   * Resolves once everything that came has reached the store, or is lost: what was held back, and what its client
   * no longer waited for. For when nobody asks for anything more.
   */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy.stop();
    await this.settled();
    await this.#proxy[Symbol.asyncDispose]();
  }

  async #serve(taken: Taken, response: ServerResponse): Promise<void> {
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
        await delay(this.#options.delayMs());
        await this.#proxy.forward(taken);
        return;
      case "repeat-request":
        await this.#proxy.forward(taken);
        respond(response, await this.#proxy.forward(taken));
        return;
      case "delay-request":
        await delay(this.#options.delayMs());
        respond(response, await this.#proxy.forward(taken));
        return;
      case "drop-response":
        await this.#proxy.forward(taken);
        response.destroy();
        return;
      case "cut-response":
        respondHalf(response, await this.#proxy.forward(taken));
        return;
      case "hang-response":
        await this.#proxy.forward(taken);
        return;
      case "busy":
        respond(response, errorAnswer(503, "SlowDown"));
        return;
      case undefined:
        respond(response, await this.#proxy.forward(taken));
    }
  }

  #tracked(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    return tracked;
  }

  /** Resolves once the store has had what it gets of it. */
  async #forwardHalf(taken: Taken): Promise<void> {
    const forwarded = this.#proxy.begin(taken);
    const over = once(forwarded, "close");
    forwarded.on("error", () => undefined);
    forwarded.flushHeaders();
    forwarded.write(taken.body.subarray(0, Math.floor(taken.body.length / 2)), () =>
      forwarded.destroy(),
    );
    await over;
  }
}

function respondHalf(response: ServerResponse, { status, headers, body }: Answer): void {
  const length = body.length === 0 ? {} : { "content-length": body.length };
  response.writeHead(status, { ...headers, ...length });
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
}
