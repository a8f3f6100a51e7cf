import { once } from "node:events";
import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
} from "node:http";
import { buffer } from "node:stream/consumers";

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

export async function take(incoming: IncomingMessage): Promise<Taken> {
  const { method = "", url: path = "", headers } = incoming;
  return { method, path, headers, body: await buffer(incoming) };
}

/** Begins to pass a request on; the `Host` stays, so that what was signed for the proxy verifies behind it. */
export function passOn({ hostname, port }: URL, agent: Agent, asked: Taken): ClientRequest {
  const { method, path } = asked;
  const { expect: _continue, ...headers } = asked.headers;
  return request({ hostname, port, method, path, headers, agent });
}

/** Passes a whole request on, and takes the whole answer. */
export async function forward(target: URL, agent: Agent, asked: Taken): Promise<Answer> {
  const forwarded = passOn(target, agent, asked).end(asked.body);
  const [response]: IncomingMessage[] = await once(forwarded, "response");
  if (response === undefined) throw new Error("a response event without a response");
  const { statusCode: status = 0, headers } = response;
  return { status, headers, body: await buffer(response) };
}
