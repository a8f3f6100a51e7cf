/**
 * Every failure that Postern reports carries one of these codes. A code is part of the API: it is what
 * programs and tests look at, it is never reused for another meaning, and the message beside it may change.
 *
 * The class of a code decides the exit status of the command line (see `cli/exit-status.ts`):
 * `usage` 2, `store` 3, `trust` 4, `conflict` 5, `fault` 70, `later` 75, `run` 1.
 */
const codeClasses = {
  // The program was used or configured wrongly.
  USAGE: "usage",
  OUTPUT_FAILED: "usage",
  HOME_MISSING: "usage",
  HOME_EXISTS: "usage",
  HOME_UNSAFE: "usage",
  CONFIG_INVALID: "usage",
  STORE_URL_INVALID: "usage",
  STORE_KEY_INVALID: "usage",
  NAME_INVALID: "usage",
  TARGET_UNKNOWN: "usage",
  AGENT_EXISTS: "usage",
  AGENT_UNKNOWN: "usage",
  PEER_EXISTS: "usage",
  PEER_MISSING: "usage",
  RUN_UNKNOWN: "usage",
  QUARANTINE_UNKNOWN: "usage",
  QUARANTINE_NOT_RELEASABLE: "usage",
  REQUEST_INVALID: "usage",
  STATE_MISSING: "usage",
  STATE_UNSUPPORTED: "usage",
  STATE_ELSEWHERE: "usage",
  STATE_DAMAGED: "usage",
  STATE_FULL: "usage",
  STATE_READ_ONLY: "usage",
  STATE_UNSAFE: "usage",
  KEY_FILE_INVALID: "usage",

  // The shared store could not be reached, or refused.
  STORE_UNREACHABLE: "store",
  STORE_DENIED: "store",
  STORE_MISSING: "store",
  STORE_BUSY: "store",
  STORE_CLOCK_SKEW: "store",
  STORE_FULL: "store",
  STORE_READ_ONLY: "store",
  STORE_CHANGED: "store",
  STORE_ENCODING: "store",
  STORE_FAILED: "store",
  STORE_UNSAFE: "store",
  STORE_ABORTED: "store",

  // Something did not verify.
  TRUST_INVALID: "trust",
  TRUST_EXPIRED: "trust",
  TRUST_ROLLED_BACK: "trust",
  PEER_UNKNOWN: "trust",
  KEY_UNKNOWN: "trust",
  KEY_REVOKED: "trust",
  KEY_OUTSIDE_WINDOW: "trust",
  KEY_INVALID: "trust",
  SIGNATURE_INVALID: "trust",
  CARD_INVALID: "trust",
  CARD_EXPIRED: "trust",
  CBOR_MALFORMED: "trust",
  CBOR_NOT_CANONICAL: "trust",
  CBOR_TOO_DEEP: "trust",
  CBOR_TOO_LARGE: "trust",
  CBOR_FORBIDDEN: "trust",
  COSE_MALFORMED: "trust",
  COSE_HEADER_INVALID: "trust",
  COSE_TYP_MISMATCH: "trust",
  CLAIMS_INVALID: "trust",
  PAYLOAD_INVALID: "trust",
  VERSION_UNSUPPORTED: "trust",
  ISSUER_MISMATCH: "trust",
  AUDIENCE_MISMATCH: "trust",
  RUN_ID_MISMATCH: "trust",
  ISSUED_IN_FUTURE: "trust",
  TTL_INVALID: "trust",
  OBJECT_TOO_LARGE: "trust",
  KEY_NAME_UNKNOWN: "trust",
  FRAME_INVALID: "trust",
  FRAME_CHAIN_BROKEN: "trust",
  RECEIVED_TOO_LATE: "trust",

  // How a run ended, or why it was not admitted. These travel in terminals.
  NOT_GRANTED: "run",
  TOO_LARGE: "run",
  DEADLINE: "run",
  CANCELLED: "run",
  EXPIRED: "run",
  INTERRUPTED: "run",
  STATE_LOST: "run",
  OUTCOME_UNKNOWN: "run",
  HANDLER_FAILED: "run",
  HANDLER_OUTPUT: "run",
  HANDLER_START: "run",
  IDEMPOTENCY_CONFLICT: "conflict",

  // Try again later.
  PASS_RUNNING: "later",
  QUOTA_REACHED: "later",
  WAIT_TIMEOUT: "later",
  CLOCK_BEHIND: "later",
  OWNER_UNCHECKED: "later",
  STATE_BUSY: "later",

  // A fault of the program itself.
  INTERNAL: "fault",
} as const;

export type ErrorCode = keyof typeof codeClasses;
export type ErrorClass = (typeof codeClasses)[ErrorCode];

/** The one error class. `message` names the place, the value and the next step; `cause` is what lay below. */
export class PosternError extends Error {
  override readonly name = "PosternError";
  readonly code: ErrorCode;
  /** How long the other side asks to be left alone, in milliseconds, where it said so. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options?: { cause?: unknown; retryAfterMs?: number | undefined },
  ) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }

  get class(): ErrorClass {
    return codeClasses[this.code];
  }
}

/** Whether a text from outside (a terminal's error code, say) is one of our codes. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(codeClasses, text);
}

export function errorClassOf(code: ErrorCode): ErrorClass {
  return codeClasses[code];
}

/** The coded error in `thrown`, or an `INTERNAL` one around it. */
export function asPosternError(thrown: unknown): PosternError {
  if (thrown instanceof PosternError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PosternError("INTERNAL", `unexpected failure: ${message}`, { cause: thrown });
}
