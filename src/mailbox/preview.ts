import { asPosternError, PosternError, type ErrorCode } from "../base/errors.ts";
import { parseEnvelope, type Claims } from "../protocol/envelope.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { candidateOf, decideAdmission, type Admission } from "./admission.ts";
import { checkTrust, isOwnTrustCode, type MaxRunOf } from "./grants.ts";
import type { Mailbox } from "./mailbox.ts";
import { verifyRequest, type VerifiedRequest } from "./verify-request.ts";

/** What can be told of a request without taking it in. */
export interface Preview {
  /** The request, or why it does not verify, or cannot be verified now. */
  readonly verified: VerifiedRequest | PosternError;
  /** What the envelope's headers say, whoever wrote them; null where they cannot be read. */
  readonly headers: Headers | null;
  readonly prospect: Prospect;
}

interface Headers {
  /** Thumbprint of the key that is said to have signed, base32. */
  readonly kid: string;
  readonly claims: Claims;
}

/** What a pass that had room would do with a request now. */
export type Prospect =
  | Exclude<Admission, { readonly status: "silenced" }>
  | { readonly status: "quarantined"; readonly code: ErrorCode };

export interface PreviewOptions {
  readonly maxRunOf: MaxRunOf;
  /** Whether a cancel of the request is there and verifies; asked only where it makes a difference. */
  readonly cancelled: () => Promise<boolean>;
}

/**
 * Looks at a request as `admit` does, by the same decisions, and changes neither state nor store. That the
 * look at the owner keys, with which a pass begins, will find nothing new is taken for granted. Rejects as the
 * state, or `cancelled`, does.
 */
export async function previewAdmission(
  box: Mailbox,
  run: RunRef,
  bytes: Uint8Array,
  options: PreviewOptions,
): Promise<Preview> {
  const verified = await verifyNow(box, run, bytes);
  const standing = await box.state.receipt(run);
  const prospect =
    standing === undefined ? await prospectOf(box, verified, options) : followed(standing);
  return { verified, headers: headersOf(bytes), prospect };
}

async function verifyNow(
  box: Mailbox,
  run: RunRef,
  bytes: Uint8Array,
): Promise<VerifiedRequest | PosternError> {
  try {
    await checkTrust(box);
    return verifyRequest(box, run, bytes);
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust") throw error;
    return error;
  }
}

async function prospectOf(
  box: Mailbox,
  verified: VerifiedRequest | PosternError,
  { cancelled, maxRunOf }: PreviewOptions,
): Promise<Prospect> {
  if ((await box.state.owner()).elsewhere) return { status: "waits", code: "STATE_ELSEWHERE" };
  if (verified instanceof PosternError) {
    const { code } = verified;
    return { status: isOwnTrustCode(code) ? "waits" : "quarantined", code };
  }
  const candidate = candidateOf(box, verified, await cancelled(), maxRunOf);
  try {
    return await box.state.stepRun(verified.received, (view) => {
      const looked = { ...view.owner, lookMs: view.nowMs, claimedMs: view.nowMs };
      const decided = decideAdmission(candidate, { ...view, owner: looked });
      return { answer: decided.status === "silenced" ? tooLate : decided };
    });
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.code === "CLOCK_BEHIND") return { status: "waits", code: error.code };
    throw error;
  }
}

function followed(receipt: Receipt): Prospect {
  // It was never answered, and what is left of it goes to quarantine.
  if (receipt.ended?.terminal === null) return tooLate;
  return { status: "exists", receipt };
}

const tooLate: Prospect = { status: "quarantined", code: "RECEIVED_TOO_LATE" };

function headersOf(bytes: Uint8Array): Headers | null {
  try {
    const { kid, claims } = parseEnvelope("request", bytes);
    return { kid, claims };
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust") throw error;
    return null;
  }
}
