import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTcpServer, Socket, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLogger, type Logger } from "../../src/base/log.ts";
import type { HandlerResult, Work } from "../../src/handlers/handler.ts";
import { httpHandler, type HttpOptions } from "../../src/handlers/http.ts";
import type { OutputKind } from "../../src/handlers/output-reader.ts";
import type { HandlerEvent } from "../../src/protocol/frame.ts";
import { rejection, rejectionCode } from "../support/rejection.ts";
import { SteppedClock } from "../support/stepped-clock.ts";
import { byteHandlerContract, contractOutputBytes, handlerContract } from "./handler-contract.ts";
import { drive } from "./drive.ts";
import { close, listen } from "../support/listen.ts";
import { sampleDocument, sampleWork } from "../support/sample-work.ts";
import { scriptServer } from "./script-server.ts";

const quick = { ...limits, handlerDrainMs: 300 };

/** Everything that listens for one test, and for all of them. */
const servers: Server[] = [];
let standing = 0;
let scripts: string;
/** A port that none of the others is ever given, and where nobody listens. */
const nowhere = "http://127.0.0.1:1";
beforeAll(async () => {
  scripts = await serve(scriptServer());
  standing = servers.length;
});
afterEach(async () => {
  await Promise.all(servers.splice(standing).map(close));
});
afterAll(() => Promise.all(servers.map(close)));

async function serve(server: Server): Promise<string> {
  servers.push(server);
  return listen(server);
}

/** The origin of an agent that answers like this. */
function agent(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<string> {
  return serve(createServer((request, response) => void answer(request, response)));
}

/** The origin of something that takes connections and does not care how they end. */
function listener(greet: (socket: Socket) => unknown): Promise<string> {
  return serve(
    createTcpServer((socket) => {
      socket.on("error", () => undefined).resume();
      greet(socket);
    }),
  );
}

/** The origin of something that writes these bytes to whoever has sent a request. */
function speaker(bytes: string): Promise<string> {
  return listener((socket) => socket.once("data", () => socket.end(bytes)));
}

const optionsFor = (url: string): HttpOptions => ({
  url,
  output: "text",
  readHeaders: () => ({}),
  clock: systemClock,
  log: silentLogger,
  limits: quick,
});

interface Extra {
  readonly work?: Work;
  readonly signal?: AbortSignal;
  readonly emit?: (event: HandlerEvent) => Promise<void>;
}

const ignore = async (): Promise<void> => undefined;

function run(
  url: string,
  options: Partial<HttpOptions> = {},
  extra: Extra = {},
): Promise<HandlerResult> {
  const { work = sampleWork, emit = ignore, signal = new AbortController().signal } = extra;
  return httpHandler({ ...optionsFor(url), ...options }).run(work, emit, signal);
}

const scripted = (output: OutputKind) => {
  const bounds = { ...quick, maxRunOutputBytes: contractOutputBytes };
  return httpHandler({ ...optionsFor(`${scripts}/${output}`), output, limits: bounds });
};
handlerContract(
  "http",
  () => scripted("jsonl"),
  () => httpHandler(optionsFor(nowhere)),
);
byteHandlerContract("http", scripted);

describe("what the agent is sent", () => {
  async function sent(options: Partial<HttpOptions> = {}, work = sampleWork) {
    const received = Promise.withResolvers<{ request: IncomingMessage; body: string }>();
    const origin = await agent(async (request, response) => {
      received.resolve({ request, body: await text(request) });
      response.end();
    });
    await run(`${origin}/agents/a?b=c`, options, { work });
    return received.promise;
  }

  test("is a POST of the request as one JSON document to the very URL", async () => {
    const { request, body } = await sent();
    expect([request.method, request.url]).toEqual(["POST", "/agents/a?b=c"]);
    expect(JSON.parse(body)).toEqual(sampleDocument);
  });

  test("says in headers which run it is, under a key that a caller does not choose", async () => {
    const { request, body } = await sent();
    expect(request.headers).toEqual({
      host: request.headers.host,
      connection: "close",
      "content-type": "application/json",
      "content-length": `${Buffer.byteLength(body)}`,
      "accept-encoding": "identity",
      "postern-run-id": sampleWork.runId,
      "postern-caller": "acme.eu",
      "postern-agent": "diagnose",
      "postern-deadline": "1800000000",
      "idempotency-key": `"${sampleWork.runId}"`,
    });
    expect((await sent({}, { ...sampleWork, deadline: null })).request.headers).not.toHaveProperty(
      "postern-deadline",
    );
  });

  test("has the headers of the operator besides, asked for anew each time", async () => {
    let secret = 0;
    const readHeaders = () => ({ authorization: `Bearer ${(secret += 1)}` });
    expect((await sent({ readHeaders })).request.headers.authorization).toBe("Bearer 1");
    expect((await sent({ readHeaders })).request.headers.authorization).toBe("Bearer 2");
  });

  test("keeps a request from being sent whose headers cannot be had, and says no more", async () => {
    let asked = 0;
    const origin = await agent((_, response) => {
      asked += 1;
      response.end();
    });
    const readHeaders = () => {
      throw new PosternError("HOME_UNSAFE", "/secret/place: others may read it");
    };
    const failure = await rejection(run(origin, { readHeaders }));
    expect([failure?.code, asked]).toEqual(["HANDLER_START", 0]);
    expect(failure?.message).not.toMatch(/secret|HOME_UNSAFE/);
  });
});

describe("an answer", () => {
  test("comes as deltas while the agent still works, and whole as the result", async () => {
    const heard = Promise.withResolvers<void>();
    const origin = await agent(async (_, response) => {
      response.write("one ");
      await heard.promise;
      response.end("two");
    });
    const events: HandlerEvent[] = [];
    const emit = async (event: HandlerEvent): Promise<void> => {
      events.push(event);
      heard.resolve();
    };
    expect(await run(origin, {}, { emit })).toEqual({ result: "one two" });
    expect(events).toEqual([
      { event: "textDelta", payload: { text: "one " } },
      { event: "textDelta", payload: { text: "two" } },
    ]);
  });

  test("is read no faster than it is taken", async () => {
    const piece = Buffer.alloc(1024 * 1024, "x");
    const pieces = 64;
    let written = 0;
    const origin = await agent(async (_, response) => {
      for (; written < pieces; written += 1) {
        if (!response.write(piece)) await once(response, "drain");
      }
      response.end();
    });
    let atFirst: number | undefined;
    let taken = 0;
    const emit = async (event: HandlerEvent): Promise<void> => {
      taken += event.event === "textDelta" ? event.payload.text.length : 0;
      if (atFirst !== undefined) return;
      await delay(300);
      atFirst = written;
    };
    const bytes = 2 * pieces * piece.length;
    const large = { ...quick, maxRunOutputBytes: bytes, maxFrameBytes: bytes };
    await run(origin, { limits: large }, { emit });
    expect(taken).toBe(pieces * piece.length);
    expect(atFirst).toBeLessThan(pieces / 2);
  });

  test("of status 204 is an empty one", async () => {
    const origin = await agent((_, response) => response.writeHead(204).end());
    expect(await run(origin)).toEqual({ result: "" });
  });

  test("over the cap is an error, and the connection is closed", async () => {
    const closed = Promise.withResolvers<void>();
    const origin = await agent((_, response) => {
      response.on("close", closed.resolve);
      response.write("x".repeat(2000));
    });
    const small = { ...quick, maxRunOutputBytes: 1000 };
    expect(await rejectionCode(run(origin, { limits: small }))).toBe("HANDLER_OUTPUT");
    await closed.promise;
  });

  test.each([
    ["does not say where it ends", "HTTP/1.1 200 OK\r\n\r\nhalf of an"],
    ["is compressed", "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx"],
  ])("that %s is refused: HANDLER_OUTPUT", async (_, bytes) => {
    expect(await rejectionCode(run(await speaker(bytes)))).toBe("HANDLER_OUTPUT");
  });

  test("that is refused is not waited for: the connection is closed", async () => {
    const closed = Promise.withResolvers<void>();
    const origin = await agent((_, response) => {
      response.on("close", closed.resolve);
      response.setHeader("content-encoding", "gzip").write("x");
    });
    expect(await rejectionCode(run(origin))).toBe("HANDLER_OUTPUT");
    await closed.promise;
  });

  test.each([
    ["is shorter than it says", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"],
    ["ends within a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nshort"],
    ["has no last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n"],
    ["is none", ""],
    ["is not HTTP", "220 mail.example\r\n\r\n"],
    ["changes the protocol", "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
    ["has a head without end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`],
  ])("that %s is a failure: HANDLER_FAILED", async (_, bytes) => {
    expect(await rejectionCode(run(await speaker(bytes)))).toBe("HANDLER_FAILED");
  });
});

describe("a status outside 2xx", () => {
  test.each([300, 302, 307, 401, 404, 429, 500, 503])("fails the run: %i", async (status) => {
    const origin = await agent((_, response) => response.writeHead(status).end("told to nobody"));
    const failure = await rejection(run(`${origin}/secret-place`));
    expect(failure?.code).toBe("HANDLER_FAILED");
    expect(failure?.message).toContain(`${status}`);
    expect(failure?.message).not.toMatch(/told to nobody|secret-place/);
  });

  test("is never a way to somewhere else, and never a reason to ask again", async () => {
    const asked: (string | undefined)[] = [];
    const origin = await agent((request, response) => {
      asked.push(request.url);
      response.writeHead(request.url === "/" ? 307 : 503, {
        location: "/there",
        "retry-after": "0",
      });
      response.end();
    });
    await rejection(run(origin));
    await rejection(run(`${origin}/busy`));
    expect(asked).toEqual(["/", "/busy"]);
  });

  test("is logged with the start of the body, escaped", async () => {
    const logged: object[] = [];
    const log: Logger = { ...silentLogger, warn: (fields) => void logged.push(fields) };
    const origin = await agent((_, response) =>
      response.writeHead(500).end(`\u001b[31m${"y".repeat(10_000)}`),
    );
    await rejection(run(origin, { log, clock: new SteppedClock() }));
    const { runId } = sampleWork;
    const body = String.raw`\u{1b}[31m${"y".repeat(limits.handlerFailureLogBytes - 5)}`;
    expect(logged).toEqual([{ runId, agent: "diagnose", status: 500, body }]);
  });

  test("does not wait for a body that never ends", async () => {
    const clock = new SteppedClock();
    const origin = await agent((_, response) => response.writeHead(500).write("started"));
    const failing = rejectionCode(run(origin, { clock }));
    expect(await drive(clock, failing)).toBe("HANDLER_FAILED");
  });
});

describe("an agent that cannot be reached", () => {
  test.each([
    ["nobody listens there", () => nowhere],
    ["there is no such machine", () => "http://no-such-machine.invalid"],
    ["it does not speak TLS", () => scripts.replace("http:", "https:")],
  ])("because %s: HANDLER_START, and the URL stays here", async (_, url) => {
    const failure = await rejection(run(`${url()}/secret-place`));
    expect(failure?.code).toBe("HANDLER_START");
    expect(failure?.message).not.toMatch(/secret-place|127\.0\.0\.1|invalid/);
  });

  test("is given up when the connection takes too long, and not before", async () => {
    const clock = new SteppedClock();
    const accepted = Promise.withResolvers<void>();
    // Never says anything, so that TLS never comes about.
    const silent = await listener(() => accepted.resolve());
    const failing = rejectionCode(run(silent.replace("http:", "https:"), { clock }));
    await accepted.promise;
    await clock.advance(limits.handlerConnectMs - 1);
    expect(await Promise.race([failing, delay(50, "it waits")])).toBe("it waits");
    await clock.advance(1);
    expect(await failing).toBe("HANDLER_START");
  });
});

describe("a long silence", () => {
  test("before and within the answer ends nothing; the connection is probed", async () => {
    const probes = vi.spyOn(Socket.prototype, "setKeepAlive");
    const clock = new SteppedClock();
    const origin = await agent(async (_, response) => {
      await clock.advance(3_600_000);
      response.write("so");
      await clock.advance(3_600_000);
      response.end(" late");
    });
    expect(await run(origin, { clock })).toEqual({ result: "so late" });
    expect(probes).toHaveBeenCalledWith(true, limits.handlerKeepAliveMs);
    probes.mockRestore();
  });
});

describe("a stop", () => {
  /** Nothing has gone wrong that anybody would have to look at. */
  const quiet: Logger = {
    ...silentLogger,
    warn: (fields) => expect.fail(JSON.stringify(fields)),
    error: (fields) => expect.fail(JSON.stringify(fields)),
  };

  test("before the start sends nothing", async () => {
    let asked = 0;
    const origin = await agent(() => (asked += 1));
    expect(await rejectionCode(run(origin, {}, { signal: AbortSignal.abort() }))).toBe("CANCELLED");
    expect(asked).toBe(0);
  });

  test.each([
    ["before the answer", ""],
    ["within the answer", "so far"],
  ])("%s closes the connection, and rejects with the reason", async (_, said) => {
    const closed = Promise.withResolvers<void>();
    const stop = new AbortController();
    const reason = new PosternError("DEADLINE", "too late");
    const origin = await agent((request, response) => {
      response.on("close", closed.resolve);
      if (said === "") request.resume().on("end", () => stop.abort(reason));
      else response.write(said);
    });
    const emit = async (): Promise<void> => stop.abort(reason);
    const stopped = run(origin, { log: quiet }, { signal: stop.signal, emit });
    expect(await rejection(stopped)).toBe(reason);
    await closed.promise;
  });

  test("while it connects is a stop, and no failure to start", async () => {
    const stop = new AbortController();
    const silent = await listener(() => stop.abort());
    const url = silent.replace("http:", "https:");
    const stopped = run(url, { log: quiet }, { signal: stop.signal });
    expect(await rejectionCode(stopped)).toBe("CANCELLED");
  });

  test("while it refuses is a stop, and no failure", async () => {
    const stop = new AbortController();
    const origin = await agent((_, response) => {
      response.writeHead(500).write("I am", () => setTimeout(() => stop.abort(), 20));
    });
    // A clock that stands still: the rest of the body is waited for.
    const options = { log: quiet, clock: new SteppedClock() };
    expect(await rejectionCode(run(origin, options, { signal: stop.signal }))).toBe("CANCELLED");
  });

  test("does not wait for an event that is never taken", async () => {
    const stop = new AbortController();
    const origin = await agent((_, response) => response.write("a"));
    const emit = (): Promise<void> => {
      queueMicrotask(() => stop.abort());
      return Promise.withResolvers<void>().promise;
    };
    expect(await rejectionCode(run(origin, {}, { signal: stop.signal, emit }))).toBe("CANCELLED");
  });

  test("of the frames closes the connection, and rejects with what the frames said", async () => {
    const closed = Promise.withResolvers<void>();
    const reason = new PosternError("FRAME_CHAIN_BROKEN", "other bytes stand there");
    const origin = await agent((_, response) => {
      response.on("close", closed.resolve);
      response.write("a");
    });
    const emit = (): Promise<void> => Promise.reject(reason);
    expect(await rejection(run(origin, {}, { emit }))).toBe(reason);
    await closed.promise;
  });
});
