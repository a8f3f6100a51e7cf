import { once } from "node:events";
import {
  Agent,
  createServer,
  request,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import { buffer } from "node:stream/consumers";
import { close, listen } from "./listen.ts";

/** Every request's whole body: it is small, and can be sent again. */
export interface Taken {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** Answers a request in the place of the server behind, or has the connection break off. */
export type Serve = (taken: Taken, response: ServerResponse) => Promise<void>;

/** Stands between a client and a server, and passes on what it is told to. */
export class Proxy implements AsyncDisposable {
  readonly #target: URL;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  #endpoint = "";

  /** `target` is the server's origin. */
  constructor(target: string, serve: Serve) {
    this.#target = new URL(target);
    this.#server = createServer((incoming, response) => {
      // A client that is gone is what some tests are about.
      take(incoming)
        .then((taken) => serve(taken, response))
        .catch(() => response.destroy());
    });
  }

  async listen(): Promise<void> {
    this.#endpoint = await listen(this.#server);
  }

  /** Its own origin, once it listens. */
  get endpoint(): string {
    return this.#endpoint;
  }

  /** Begins to pass a request on; the `Host` stays, so that what was signed for the proxy verifies behind it. */
  begin(asked: Taken): ClientRequest {
    const { hostname, port } = this.#target;
    const { method, path } = asked;
    const { expect: _continue, ...headers } = asked.headers;
    return request({ hostname, port, method, path, headers, agent: this.#agent });
  }

  /** Passes a whole request on, and takes the whole answer. */
  async forward(asked: Taken): Promise<Answer> {
    const [response]: IncomingMessage[] = await once(this.begin(asked).end(asked.body), "response");
    if (response === undefined) throw new Error("a response event without a response");
    const { statusCode: status = 0, headers } = response;
    return { status, headers, body: await buffer(response) };
  }

  /** Serves nothing more, and breaks off what it serves; it may go on passing on. */
  async stop(): Promise<void> {
    if (this.#server.listening) await close(this.#server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#agent.destroy();
  }
}

async function take(incoming: IncomingMessage): Promise<Taken> {
  const { method = "", url: path = "", headers } = incoming;
  return { method, path, headers, body: await buffer(incoming) };
}

export function respond(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers).end(body);
}

/** What S3 says in place of an answer. */
export function errorAnswer(
  status: number,
  code: string,
  headers: OutgoingHttpHeaders = {},
): Answer {
  const body = Buffer.from(`<Error><Code>${code}</Code><Message>said by a proxy</Message></Error>`);
  return { status, headers: { ...headers, "content-type": "application/xml" }, body };
}
