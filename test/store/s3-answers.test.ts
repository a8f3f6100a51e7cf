import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { S3Store } from "../../src/store/s3.ts";
import type { ErrorCode } from "../../src/base/errors.ts";
import { keyOf } from "../support/store-key.ts";
import { rejection, rejectionCode } from "../support/rejection.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const key = keyOf("a/b");
const maxBytes = 1000;

let server: Server;
let handler: Handler;
let requests: IncomingMessage[];
let store: S3Store;

function storeAt(endpoint: string, timeoutMs = limits.storeTimeoutMs): S3Store {
  return new S3Store({
    bucket: "bucket",
    prefix: "",
    location: "s3://bucket",
    endpoint,
    region: "us-east-1",
    pathStyle: true,
    credentials: { accessKeyId: "id", secretAccessKey: "hush-hush" },
    timeoutMs,
  });
}

beforeEach(async () => {
  requests = [];
  server = createServer((request, response) => {
    requests.push(request);
    request.resume();
    request.on("end", () => handler(request, response));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  store = storeAt(endpointOf(server));
});

afterEach(async () => {
  await store.close();
  server.closeAllConnections();
  server.close();
});

function endpointOf(listening: Server): string {
  const address = listening.address();
  if (address === null || typeof address === "string") throw new Error("not listening");
  return `http://127.0.0.1:${address.port}`;
}

/** The operations, each against whatever answers next. */
const calls = {
  get: () => store.get(key, { maxBytes }),
  put: () => store.put(key, utf8("x")),
  list: () => store.list({ prefix: "a/", limit: 10 }),
  delete: () => store.delete(key),
};
const operations = ["get", "put", "list", "delete"] as const;

function answerError(status: number, code?: string): void {
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`;
  handler = (_request, response) => {
    response.writeHead(status, { "content-type": "application/xml" });
    response.end(code === undefined ? "" : xml);
  };
}

function listXml(inside: string): string {
  return `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name>${inside}</ListBucketResult>`;
}

function contents(...keys: string[]): string {
  const stamp = "2026-01-01T00:00:00.000Z";
  return keys
    .map(
      (name) =>
        `<Contents><Key>${name}</Key><Size>1</Size><LastModified>${stamp}</LastModified></Contents>`,
    )
    .join("");
}

describe("an S3 error answer", () => {
  const codes: readonly [number, string | undefined, ErrorCode][] = [
    [404, "NoSuchBucket", "STORE_MISSING"],
    [403, "AccessDenied", "STORE_DENIED"],
    [403, "InvalidAccessKeyId", "STORE_DENIED"],
    [403, "SignatureDoesNotMatch", "STORE_DENIED"],
    [400, "ExpiredToken", "STORE_DENIED"],
    [401, undefined, "STORE_DENIED"],
    [403, undefined, "STORE_DENIED"],
    [403, "RequestTimeTooSkewed", "STORE_CLOCK_SKEW"],
    [409, "ConditionalRequestConflict", "STORE_BUSY"],
    [409, "OperationAborted", "STORE_BUSY"],
    [503, "SlowDown", "STORE_BUSY"],
    [429, "TooManyRequests", "STORE_BUSY"],
    [500, "InternalError", "STORE_BUSY"],
    [502, undefined, "STORE_BUSY"],
    [503, undefined, "STORE_BUSY"],
    [507, "XMinioStorageFull", "STORE_FULL"],
    [501, "NotImplemented", "STORE_UNSAFE"],
    [301, "PermanentRedirect", "STORE_FAILED"],
    [400, "AuthorizationHeaderMalformed", "STORE_FAILED"],
    [400, "SomethingNew", "STORE_FAILED"],
    [400, "__proto__", "STORE_FAILED"],
  ];

  it.each(codes)("of status %i and code %s is %s", async (status, code, expected) => {
    answerError(status, code);
    for (const operation of operations) {
      const failure = await rejection(calls[operation]());
      expect(failure?.code, operation).toBe(expected);
      expect(failure?.message).not.toContain("hush-hush");
    }
  });

  it("that is a web page is judged by its status, and takes no time to read", async () => {
    handler = (_request, response) => response.writeHead(403).end("<!doctype html>".repeat(32_768));
    // Of the processor: other times depend on what else the machine does.
    const begun = process.threadCpuUsage();
    expect(await rejectionCode(calls.put())).toBe("STORE_DENIED");
    const { user, system } = process.threadCpuUsage(begun);
    expect((user + system) / 1000).toBeLessThan(2000);
  });

  it.each([200, 404, 412, 503])("of status %i that breaks off is no answer", async (status) => {
    handler = (_request, response) => {
      response.writeHead(status, { "content-type": "application/xml", "content-length": "100" });
      response.write("<Error><Code>NoSuch", () => setImmediate(() => response.destroy()));
    };
    for (const operation of ["get", "list"] as const)
      expect(await rejectionCode(calls[operation]()), operation).toBe("STORE_UNREACHABLE");
  });

  it("is asked for once only: repeating is the decorator's work", async () => {
    answerError(503, "SlowDown");
    await rejection(calls.get());
    expect(requests).toHaveLength(1);
  });

  it("with a code made to disturb terminals is not repeated in the message", async () => {
    answerError(400, "Evil&#27;[31m");
    expect((await rejection(calls.put()))?.message).toContain("an unreadable code");
  });
});

describe("an answer that asks to be left alone", () => {
  const date = "Sun, 06 Nov 1994 08:49:37 GMT";

  it.each([
    { said: "in seconds", "retry-after": "120", date, waitMs: 120_000 },
    {
      said: "until a time, by its own clock",
      "retry-after": "Sun, 06 Nov 1994 08:50:37 GMT",
      date,
      waitMs: 60_000,
    },
    {
      said: "until a time that is over",
      "retry-after": "Sun, 06 Nov 1994 08:48:37 GMT",
      date,
      waitMs: 0,
    },
    {
      said: "until a time of an unknown clock",
      "retry-after": "Sun, 06 Nov 1994 08:50:37 GMT",
      date: "now",
      waitMs: undefined,
    },
    { said: "for a number with a sign", "retry-after": "-1", date: "now", waitMs: undefined },
    {
      said: "for longer than a number goes",
      "retry-after": "9".repeat(400),
      date,
      waitMs: undefined,
    },
    { said: "for nothing that is a time", "retry-after": "soon", date, waitMs: undefined },
  ])("$said", async ({ waitMs, said: _said, ...headers }) => {
    for (const status of [429, 503]) {
      handler = (_request, response) =>
        response.writeHead(status, headers).end("<html>busy</html>");
      for (const operation of operations) {
        const refused = await rejection(calls[operation]());
        expect(refused, `${operation} ${status}`).toMatchObject({
          code: "STORE_BUSY",
          retryAfterMs: waitMs,
        });
      }
    }
  });

  it("is not heard where it is not about being busy", async () => {
    handler = (_request, response) => response.writeHead(403, { "retry-after": "1" }).end();
    const refused = await rejection(calls.put());
    expect(refused).toMatchObject({ code: "STORE_DENIED", retryAfterMs: undefined });
  });
});

describe("put", () => {
  it("asks for if-none-match, says created on 200 and exists on 412", async () => {
    handler = (_request, response) => response.writeHead(200).end();
    expect(await calls.put()).toBe("created");
    expect(requests[0]?.headers["if-none-match"]).toBe("*");
    answerError(412, "PreconditionFailed");
    expect(await calls.put()).toBe("exists");
    answerError(412);
    expect(await calls.put()).toBe("exists");
  });
});

describe("get", () => {
  it("says absent of NoSuchKey, and asks for no encoding", async () => {
    answerError(404, "NoSuchKey");
    expect(await calls.get()).toEqual({ status: "absent" });
    expect(requests[0]?.headers["accept-encoding"]).toBe("identity");
    expect(requests[0]?.headers.authorization).not.toContain("accept-encoding");
  });

  it("does not take the 404 of something else for an absent object", async () => {
    answerError(404);
    expect(await rejectionCode(calls.get())).toBe("STORE_MISSING");
  });

  it.each(["gzip", "br", "aws-chunked", "identity, gzip"])(
    "refuses content encoding %s",
    async (encoding) => {
      handler = (_request, response) =>
        response.writeHead(200, { "content-encoding": encoding, "content-length": "1" }).end("x");
      expect(await rejectionCode(calls.get())).toBe("STORE_ENCODING");
    },
  );

  it("stops reading at the first byte too many, however long the body goes on", async () => {
    let sent = 0;
    const closed = new Promise<void>((resolve) => {
      handler = (_request, response) => {
        response.writeHead(200);
        const more = () => {
          if (response.destroyed) return;
          sent += 64 * 1024;
          if (response.write(Buffer.alloc(64 * 1024))) setImmediate(more);
          else response.once("drain", more);
        };
        response.once("close", resolve);
        more();
      };
    });
    expect(await calls.get()).toEqual({ status: "too-large", size: maxBytes + 1 });
    await closed;
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it("takes a body for too large that is said to be larger than any number tells exactly", async () => {
    handler = (_request, response) =>
      response.writeHead(200, { "content-length": "18446744073709551615" }).write("x");
    expect(await calls.get()).toEqual({ status: "too-large", size: Number.MAX_SAFE_INTEGER });
  });

  it("calls a body that breaks off STORE_UNREACHABLE, never a short object", async () => {
    handler = (_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("x".repeat(50), () => response.destroy());
    };
    expect(await rejectionCode(calls.get())).toBe("STORE_UNREACHABLE");
  });

  it("gives a body up that trickles longer than the time limit: STORE_UNREACHABLE", async () => {
    handler = (_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("x");
    };
    const hasty = storeAt(endpointOf(server), 50);
    expect(await rejectionCode(hasty.get(key, { maxBytes }))).toBe("STORE_UNREACHABLE");
    await hasty.close();
  });
});

describe("a network that fails", () => {
  it("is STORE_UNREACHABLE when nobody listens", async () => {
    const endpoint = endpointOf(server);
    server.close();
    await once(server, "close");
    const lonely = storeAt(endpoint);
    expect(await rejectionCode(lonely.get(key, { maxBytes }))).toBe("STORE_UNREACHABLE");
    await lonely.close();
  });

  it("is STORE_UNREACHABLE when the name does not resolve", async () => {
    const lost = storeAt("http://nowhere.invalid");
    expect(await rejectionCode(lost.put(key, utf8("x")))).toBe("STORE_UNREACHABLE");
    await lost.close();
  });

  it("is STORE_UNREACHABLE when the connection is cut, or what answers is no HTTP", async () => {
    handler = (request) => request.socket.destroy();
    for (const operation of operations) {
      expect(await rejectionCode(calls[operation]()), operation).toBe("STORE_UNREACHABLE");
    }
    handler = (request) => request.socket.end("SSH-2.0-OpenSSH\r\n");
    expect(await rejectionCode(calls.get())).toBe("STORE_UNREACHABLE");
  });

  it("is STORE_UNREACHABLE when no answer comes in time", async () => {
    handler = () => undefined;
    const hasty = storeAt(endpointOf(server), 50);
    expect(await rejectionCode(hasty.delete(key))).toBe("STORE_UNREACHABLE");
    await hasty.close();
  });

  it("ends at once with STORE_ABORTED when the caller gives up while waiting", async () => {
    const controller = new AbortController();
    handler = () => controller.abort();
    expect(await rejectionCode(store.put(key, utf8("x"), { signal: controller.signal }))).toBe(
      "STORE_ABORTED",
    );
  });

  it("keeps one connection for calls one after another", async () => {
    handler = (_request, response) => response.writeHead(200).end();
    for (let call = 0; call < 5; call++) await calls.put();
    expect(new Set(requests.map(({ socket }) => socket)).size).toBe(1);
  });
});

describe("list", () => {
  const answerList = (...pages: string[]) => {
    handler = (_request, response) => response.writeHead(200).end(listXml(pages.shift() ?? ""));
  };

  it("decodes keys where the answer says that they are encoded, and only there", async () => {
    answerList(
      `<EncodingType>url</EncodingType>${contents("a/%0A%25+%2B")}`,
      contents("a/%41+"),
      `<EncodingType>url</EncodingType>${contents("a/%FF")}`,
    );
    expect((await calls.list()).entries[0]?.key).toBe("a/\n% +");
    expect((await calls.list()).entries[0]?.key).toBe("a/%41+");
    expect((await calls.list()).entries[0]?.key).toBe("a/%FF");
    expect(requests[0]?.url).toContain("encoding-type=url");
  });

  it.each([
    ["out of order", contents("a/c", "a/b")],
    ["twice the same key", contents("a/b", "a/b")],
    ["keys outside of the prefix", contents("b/c")],
  ])("calls a store that lists %s STORE_UNSAFE", async (_what, xml) => {
    answerList(xml);
    expect(await rejectionCode(calls.list())).toBe("STORE_UNSAFE");
  });

  it("calls a store that ignores start-after STORE_UNSAFE", async () => {
    answerList(contents("a/b", "a/c"));
    const query = { prefix: "a/", startAfter: "a/b", limit: 10 };
    expect(await rejectionCode(store.list(query))).toBe("STORE_UNSAFE");
  });

  it("calls a store that says more follow, and neither what nor where, STORE_UNSAFE", async () => {
    answerList("<IsTruncated>true</IsTruncated>");
    expect(await rejectionCode(calls.list())).toBe("STORE_UNSAFE");
  });

  it.each(["-1", "1.5", "9007199254740992", "99999999999999999999999", "NaN", "Infinity", "many"])(
    "takes what says that its size is %s for too large, and lists it",
    async (size) => {
      answerList(`<Contents><Key>a/b</Key><Size>${size}</Size></Contents>`);
      const entries = [{ key: "a/b", size: Number.MAX_SAFE_INTEGER, modifiedMs: 0 }];
      expect(await calls.list()).toEqual({ entries, more: false });
    },
  );

  it("goes on behind an empty page that says more follow", async () => {
    const more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    answerList(more, contents("a/b"));
    expect(await calls.list()).toMatchObject({ entries: [{ key: "a/b" }], more: false });
    expect(requests[1]?.url).toContain("continuation-token=t");
  });

  it("passes on no more than asked for, and says that more follow when the answer holds more", async () => {
    answerList(contents("a/b", "a/c", "a/d"), contents("a/b", "a/c"));
    const query = { prefix: "a/", limit: 2 };
    const both = [{ key: "a/b" }, { key: "a/c" }];
    expect(await store.list(query)).toMatchObject({ entries: both, more: true });
    expect(await store.list(query)).toMatchObject({ entries: both, more: false });
  });

  it("does not take a web page for an empty list", async () => {
    handler = (_request, response) =>
      response.writeHead(200).end("<html><body>Hello</body></html>");
    expect(await rejectionCode(calls.list())).toBe("STORE_FAILED");
  });

  it("reads no more of an answer than maxStoreAnswerBytes", async () => {
    handler = (_request, response) => {
      response.writeHead(200);
      response.end(listXml(contents("a/b") + " ".repeat(limits.maxStoreAnswerBytes)));
    };
    expect(await rejectionCode(calls.list())).toBe("STORE_FAILED");
  });
});

it("a certificate that nobody vouches for is STORE_FAILED, which is not retried", async () => {
  const { s3Error } = await import("../../src/store/s3/errors.ts");
  const failure = Object.assign(new Error("self-signed"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  expect(s3Error(failure, "get a").code).toBe("STORE_FAILED");
});
