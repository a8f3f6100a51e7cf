import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { bytesOf, drop, lineOf, scriptOf, secret, type Script } from "./script.ts";

/** A server whose agents do what their prompt says (see `script.ts`): at `/text`, and at `/jsonl`. */
export function scriptServer(): Server {
  return createServer((request, response) => {
    void play(request, response);
  });
}

async function play(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const document: unknown = JSON.parse(await text(request));
  const script = scriptOf(document);
  if (script.ends === "fail") {
    response.writeHead(500).end(secret);
    return;
  }
  response.writeHead(200);
  const bytes = bytesOf(script, document, request.url?.slice(1) ?? "");
  if (bytes.length > 0) await written(response, bytes);
  await end(response, script.ends);
}

function written(response: ServerResponse, bytes: Uint8Array): Promise<unknown> {
  return new Promise((resolve) => {
    response.write(bytes, resolve);
  });
}

async function end(response: ServerResponse, how: Script["ends"]): Promise<void> {
  switch (how) {
    case "break":
      response.destroy();
      return;
    case "hang":
      return;
    case "flood":
      // It ends when nobody listens any more.
      await pipeline(Readable.from(drops()), response).catch(() => undefined);
      return;
    default:
      response.end();
  }
}

function* drops(): Iterable<string> {
  for (;;) yield lineOf(drop);
}
