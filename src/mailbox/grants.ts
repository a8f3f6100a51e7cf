import { asPosternError, PosternError, type ErrorCode } from "../base/errors.ts";
import type { AgentName, GatewayName } from "../base/names.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import type { RequestPayload } from "../protocol/request.ts";
import { notGrantedText } from "../trust/trust.ts";
import type { Mailbox } from "./mailbox.ts";

/** What runs here: how long an agent may take, or undefined for an agent that this gateway does not have. */
export type MaxRunOf = (agent: AgentName) => number | undefined;

/** Why a request may not run. */
export interface Denial {
  readonly code: ErrorCode;
  readonly message: string;
}

const notGranted: Denial = { code: "NOT_GRANTED", message: notGrantedText };

/** Whether a code speaks of the own trust document: while it cannot be used, admission stops and requests wait. */
export function isOwnTrustCode(code: ErrorCode): boolean {
  return code === "TRUST_INVALID" || code === "TRUST_EXPIRED" || code === "TRUST_ROLLED_BACK";
}

/** Whether a sender is no peer. */
export function isStranger(box: Mailbox, sender: GatewayName): boolean {
  return box.trust.current().grantsOf(sender) === undefined;
}

/** Throws `TRUST_INVALID`, `TRUST_EXPIRED`, or `TRUST_ROLLED_BACK` for an older document than was seen before. */
export async function requireTrust(box: Mailbox): Promise<void> {
  const trust = box.trust.current();
  trust.requireCurrent(box.clock.now());
  // Mostly it is the one that was seen last: that is found out without writing.
  if ((await box.state.seenVersion("trust")) === trust.version) return;
  if ((await box.state.seeVersion("trust", trust.version)) === "fine") return;
  throw rolledBack(trust.version);
}

/** Throws the same, and does not remember that the document was seen. */
export async function checkTrust(box: Mailbox): Promise<void> {
  const trust = box.trust.current();
  trust.requireCurrent(box.clock.now());
  if (trust.version < (await box.state.seenVersion("trust"))) throw rolledBack(trust.version);
}

function rolledBack(version: number): PosternError {
  return new PosternError(
    "TRUST_ROLLED_BACK",
    `trust.json is version ${version}, and a later one was in force: bring that back, or raise "version" above it`,
  );
}

/** Why a request may not run, by the trust document and the agents as they are now. */
export function denialOf(
  box: Mailbox,
  run: Pick<RunRef, "from">,
  request: RequestPayload,
  bytes: number,
  maxRunOf: MaxRunOf,
): Denial | undefined {
  const { body, callerIdentity, agentTarget, via } = request;
  const refusal = box.trust.current().refusalOf({
    from: run.from,
    kind: body.kind,
    agent: agentTarget,
    bytes,
    ...(body.kind === "toolCall" ? { tool: body.toolCall.name } : {}),
    ...(callerIdentity.tenant === undefined ? {} : { tenant: callerIdentity.tenant }),
  });
  if (refusal !== undefined) return refusal;
  const unknown = maxRunOf(agentTarget) === undefined || body.kind === "approvalGrant";
  return unknown || via?.includes(box.self) === true ? notGranted : undefined;
}

/**
 * The same for a run that was admitted earlier: the key that signed it must still stand, too. Throws
 * `TRUST_INVALID` or `TRUST_EXPIRED` when the own trust document cannot be used.
 */
export function standingDenialOf(
  box: Mailbox,
  receipt: Receipt,
  request: RequestPayload,
  maxRunOf: MaxRunOf,
): Denial | undefined {
  const { claims, kid } = parseEnvelope("request", receipt.request);
  const trust = box.trust.current();
  trust.requireCurrent(box.clock.now());
  try {
    trust.gatewayKey(claims, kid, box.clock.now());
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust") throw error;
    return notGranted;
  }
  return denialOf(box, receipt, request, receipt.request.length, maxRunOf);
}
