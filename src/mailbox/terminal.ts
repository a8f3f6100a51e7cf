import { toSeconds } from "../base/clock.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { ObjectKey } from "../base/names.ts";
import { signEnvelope } from "../protocol/envelope.ts";
import {
  encodeFrames,
  noPrev,
  type FramesPayload,
  type TerminalPayload,
  type TerminalStatus,
} from "../protocol/frame.ts";
import { digest16Of, objectKey } from "../protocol/object-key.ts";
import type { RunRef, SignedTerminal } from "../protocol/receipt.ts";
import type { Mailbox } from "./mailbox.ts";

/** A terminal that did not succeed. */
export function failure(
  status: Exclude<TerminalStatus, "succeeded">,
  code: ErrorCode,
  message: string,
): TerminalPayload {
  return { status, error: { code, message } };
}

export function framesKey(box: Mailbox, run: RunRef, attempt: number, seq: number): ObjectKey {
  return objectKey({
    kind: "frames",
    to: run.from,
    from: box.self,
    runId: run.runId,
    digest16: digest16Of(run.requestDigest),
    attempt,
    seq,
  });
}

/** Signs one envelope of frames for its place. Synchronous, so that a transaction can hold its result. */
export function signFrames(box: Mailbox, run: RunRef, payload: FramesPayload): Uint8Array {
  const claims = { iss: box.self, aud: run.from, iat: toSeconds(box.clock.now()) };
  const key = framesKey(box, run, payload.attempt, payload.seq);
  return signEnvelope("frames", claims, encodeFrames(payload), box.signingKey, {
    realm: box.realm,
    key,
  });
}

/** An attempt that holds nothing but how the run ended. */
export function signBareTerminal(
  box: Mailbox,
  run: RunRef,
  attempt: number,
  payload: TerminalPayload,
): SignedTerminal {
  const { runId, requestDigest } = run;
  const frames = [{ event: "terminal" as const, payload, at: box.clock.now() }];
  const envelope = signFrames(box, run, {
    runId,
    requestDigest,
    attempt,
    seq: 0,
    prev: noPrev,
    frames,
  });
  return { attempt, seq: 0, envelope, payload };
}
