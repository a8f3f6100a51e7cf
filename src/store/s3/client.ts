import { Readable } from "node:stream";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { PosternError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { collect } from "./body.ts";

export interface S3StoreOptions {
  readonly bucket: string;
  /** Empty, or segments joined by `/` without a last `/`. */
  readonly prefix: string;
  /** The store's URL, without secrets. */
  readonly location: string;
  /** Without one, AWS's own for the region. */
  readonly endpoint?: string;
  /** Without one, the AWS chain's (AWS_REGION, profile). */
  readonly region?: string;
  /** Whether the bucket is named in the path rather than in the host name. */
  readonly pathStyle: boolean;
  /** Without any, those of the AWS chain (environment, profile, role). */
  readonly credentials?: S3Credentials;
  /** How long one operation may take in all. */
  readonly timeoutMs?: number;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export function makeClient({ endpoint, region, pathStyle, credentials }: S3StoreOptions): S3Client {
  const pool = { keepAlive: true, maxSockets: limits.storeConnections };
  const config: S3ClientConfig = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    forcePathStyle: pathStyle,
    // Whoever repeats a request does so above: here each goes out once.
    retryStrategy: { mode: "none", retry: (next, args) => next(args) },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Otherwise the SDK would silently get round a clock that is wrong, from the second request on.
    disableClockSkewCorrection: true,
    streamCollector: collectAnswer,
    logger: silent,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: limits.storeConnectTimeoutMs,
      httpAgent: pool,
      httpsAgent: pool,
      logger: silent,
    }),
  };
  const client = new S3Client(config);
  // It tells the logger above of each request, which takes its time.
  client.middlewareStack.remove("loggerMiddleware");
  // After signing: proxies change this header, and a signature over it would break.
  client.middlewareStack.add(
    (next) => async (args) => {
      const { request } = args;
      if (hasHeaders(request)) request.headers["accept-encoding"] = "identity";
      return await next(args);
    },
    { step: "deserialize", name: "acceptIdentityOnly" },
  );
  return client;
}

const ignore = (): void => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === "object" && request !== null && "headers" in request;
}

/** The SDK's way to read answers that are not objects, within a bound. */
async function collectAnswer(stream: unknown): Promise<Uint8Array> {
  if (!(stream instanceof Readable)) return new Uint8Array(0);
  const bytes = await collect(stream, limits.maxStoreAnswerBytes);
  if (bytes === undefined) {
    throw new PosternError(
      "STORE_FAILED",
      `an answer is larger than ${limits.maxStoreAnswerBytes} bytes`,
    );
  }
  // A web page, and nothing that S3 says. The SDK takes an hour over 8 MiB of document types, without a break.
  return /<!doctype/i.test(Buffer.from(bytes).toString("latin1")) ? new Uint8Array(0) : bytes;
}
