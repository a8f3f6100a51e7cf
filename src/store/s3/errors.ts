import { z } from "zod";
import { PosternError, type ErrorCode } from "../../base/errors.ts";
import { retryAfterOf } from "./retry-after.ts";

type Verdict = readonly [ErrorCode, string];

const credentialsRemedy =
  "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) and what their owner may do";
const clockRemedy = "set this machine's clock (NTP)";
const fullRemedy = "the storage or the bucket's quota is full: free some space";
const regionRemedy = "the bucket is in another region: set ?region= in the store URL";
const busyRemedy = "the store is busy: try again";

/** By the error codes of S3 (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) and MinIO. */
const verdictsByName: Readonly<Record<string, Verdict>> = {
  NoSuchBucket: ["STORE_MISSING", "create the bucket, or correct its name"],
  InvalidBucketName: ["STORE_MISSING", "correct the bucket's name"],
  AccessDenied: [
    "STORE_DENIED",
    `${credentialsRemedy}; s3:ListBucket is needed besides the object rights`,
  ],
  InvalidAccessKeyId: ["STORE_DENIED", credentialsRemedy],
  SignatureDoesNotMatch: ["STORE_DENIED", credentialsRemedy],
  ExpiredToken: ["STORE_DENIED", "the session has expired: sign in again"],
  InvalidToken: ["STORE_DENIED", credentialsRemedy],
  CredentialsProviderError: [
    "STORE_DENIED",
    "no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
  ],
  RequestTimeTooSkewed: ["STORE_CLOCK_SKEW", clockRemedy],
  RequestExpired: ["STORE_CLOCK_SKEW", clockRemedy],
  ConditionalRequestConflict: ["STORE_BUSY", "another writer is at this key: try again"],
  OperationAborted: ["STORE_BUSY", "another writer is at this key: try again"],
  RequestTimeout: ["STORE_BUSY", busyRemedy],
  SlowDown: ["STORE_BUSY", busyRemedy],
  QuotaExceeded: ["STORE_FULL", fullRemedy],
  XMinioStorageFull: ["STORE_FULL", fullRemedy],
  XMinioAdminBucketQuotaExceeded: ["STORE_FULL", fullRemedy],
  PermanentRedirect: ["STORE_FAILED", regionRemedy],
  TemporaryRedirect: ["STORE_FAILED", regionRemedy],
  AuthorizationHeaderMalformed: ["STORE_FAILED", regionRemedy],
  NotImplemented: [
    "STORE_UNSAFE",
    "the store lacks what this needs; conditional writes (If-None-Match) are a must",
  ],
};

const tlsRemedy =
  "its certificate is not trusted: set NODE_EXTRA_CA_CERTS, or correct the endpoint";

/** Undefined of what is no refusal by an S3 store. */
function verdictOf({ name, status = 0 }: Failure): Verdict | undefined {
  const byName = Object.hasOwn(verdictsByName, name) ? verdictsByName[name] : undefined;
  return byName ?? (status >= 300 ? verdictByStatus(status) : undefined);
}

function verdictByStatus(status: number): Verdict {
  if (status === 401 || status === 403) return ["STORE_DENIED", credentialsRemedy];
  if (status === 404) return ["STORE_MISSING", "check the endpoint and the bucket's name"];
  if (status === 507) return ["STORE_FULL", fullRemedy];
  if (status === 408 || status === 429 || status >= 500) return ["STORE_BUSY", busyRemedy];
  if (status >= 300 && status < 400) return ["STORE_FAILED", regionRemedy];
  return ["STORE_FAILED", "is this an S3 endpoint?"];
}

/** How Node names a connection that ended in the middle of an answer. */
const brokenOff: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
]);

/** What the SDK threw, as far as it can be told apart. */
interface Failure {
  /** The error code of the S3 answer, or the name of the SDK's error. */
  readonly name: string;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** The system's code, where there was none. */
  readonly errno: string | undefined;
  /** How long the answer asks to be left alone. */
  readonly retryAfterMs: number | undefined;
}

const failureSchema = z
  .object({
    name: z.string().catch("unknown"),
    code: z.string().optional().catch(undefined),
    $metadata: z.object({ httpStatusCode: z.number().optional() }).optional().catch(undefined),
    $response: z
      .object({ headers: z.record(z.string(), z.unknown()) })
      .optional()
      .catch(undefined),
  })
  .catch({ name: "unknown" });

export function failureOf(thrown: unknown): Failure {
  const { name, code, $metadata: metadata, $response: response } = failureSchema.parse(thrown);
  return {
    name,
    status: metadata?.httpStatusCode,
    errno: code,
    retryAfterMs: response === undefined ? undefined : retryAfterOf(response.headers),
  };
}

/**
 * The coded error for whatever the SDK threw; `what` names operation and place. Of an answer only its code
 * and status are told: its text is the endpoint's, and what it carries of the request stays out of logs.
 */
export function s3Error(thrown: unknown, what: string): PosternError {
  if (thrown instanceof PosternError) return thrown;
  const failure = failureOf(thrown);
  const { status, errno } = failure;
  // Of an answer that broke off only the head is known, and that may be of anything.
  if (status !== undefined && errno !== undefined && brokenOff.has(errno)) {
    return new PosternError("STORE_UNREACHABLE", `${what}: the answer broke off: try again`);
  }
  const verdict = verdictOf(failure);
  if (verdict !== undefined) return refused(failure, verdict, what);
  if (status !== undefined) {
    return new PosternError("STORE_FAILED", `${what}: the answer is not S3's: check the endpoint`);
  }
  if (errno !== undefined && /CERT|SELF_SIGNED|^UNABLE_TO_|^ERR_TLS|^ERR_SSL/.test(errno)) {
    return new PosternError("STORE_FAILED", `${what}: ${errno}: ${tlsRemedy}`, { cause: thrown });
  }
  if (errno !== undefined || failure.name === "TimeoutError") {
    return new PosternError(
      "STORE_UNREACHABLE",
      `${what}: ${errno ?? "no answer in time"}: check the endpoint and the network`,
      { cause: thrown },
    );
  }
  return new PosternError("STORE_FAILED", `${what}: ${shownName(failure)}: see the cause`, {
    cause: thrown,
  });
}

function refused(failure: Failure, [code, remedy]: Verdict, what: string): PosternError {
  const { status, retryAfterMs } = failure;
  const shownStatus = status === undefined ? "" : ` (HTTP ${status})`;
  const message = `${what}: ${shownName(failure)}${shownStatus}: ${remedy}`;
  return new PosternError(code, message, code === "STORE_BUSY" ? { retryAfterMs } : {});
}

function shownName({ name }: Failure): string {
  return /^\w{1,64}$/.test(name) ? name : "an unreadable code";
}
