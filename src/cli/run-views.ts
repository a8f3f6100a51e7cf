import { limits } from "../base/limits.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { Receipt } from "../protocol/receipt.ts";
import { decodeRequest } from "../protocol/request.ts";
import type { OutboxRecord } from "../state/outbox.ts";
import { keptUntilMs } from "../state/retention.ts";
import { isoSeconds, isoTime } from "./iso-time.ts";
import { table } from "./output.ts";

/** A run that was asked from here, as `runs list` and `runs show` tell it. */
export type AskedView = ReturnType<typeof askedView>;
/** A run that was asked of this gateway. */
export type ReceivedView = ReturnType<typeof receivedView>;

export function askedView(record: OutboxRecord) {
  const { agentTarget, callerIdentity, idempotencyKey, body, remoteRunId } = decodeRequest(
    record.payload,
  );
  return {
    runId: record.runId,
    to: record.to,
    agent: agentTarget,
    kind: body.kind,
    tenant: callerIdentity.tenant ?? null,
    idempotencyKey,
    state: record.state,
    ...endOf(record.terminal),
    continues: remoteRunId ?? null,
    requestDigest: record.requestDigest,
    askedAt: isoTime(record.openedMs),
    sentAt: isoTimeOf(record.sentMs),
    answered: record.answered,
    displaced: record.displaced,
    cancelAsked: record.cancel !== null,
    deadline: isoSeconds(record.deadline),
    expiresAt: isoSeconds(record.exp),
    closedAt: isoTimeOf(record.closedMs),
  };
}

export function receivedView(receipt: Receipt) {
  return {
    runId: receipt.runId,
    from: receipt.from,
    agent: receipt.agent,
    kind: receipt.kind,
    tenant: receipt.tenant,
    state: receipt.state,
    ...endOf(receipt.ended?.terminal?.payload ?? null),
    admitted: receipt.admitted,
    attempt: receipt.attempt,
    starts: receipt.starts,
    published: receipt.ended?.acknowledged ?? false,
    continues: receipt.continues,
    requestDigest: receipt.requestDigest,
    receivedAt: isoTime(receipt.receivedMs),
    deadline: isoSeconds(receipt.deadline),
    expiresAt: isoSeconds(receipt.exp),
    endedAt: isoTimeOf(receipt.ended?.atMs ?? null),
    keptUntil: isoTimeOf(keptUntil(receipt)),
  };
}

/** While it is open, and until its end is published, a receipt is kept whatever the time. */
function keptUntil({ ended, exp }: Receipt): number | null {
  if (ended === null || !ended.acknowledged) return null;
  return keptUntilMs(ended.atMs, exp, limits);
}

function endOf(terminal: TerminalPayload | null) {
  return { status: terminal?.status ?? null, code: terminal?.error?.code ?? null };
}

function isoTimeOf(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}

/** How a run stands, in a few words for one column. */
function standing({ state, status, code }: AskedView | ReceivedView): string {
  return [status ?? state, ...(code === null ? [] : [code])].join(" ");
}

export function askedTable(views: readonly AskedView[]): string {
  const head = ["RUN", "TO", "KIND", "TENANT", "STATE", "ASKED", "KEY"];
  const rows = views.map((view) => [
    view.runId,
    `${view.to}/${view.agent}`,
    view.kind,
    view.tenant ?? "",
    standing(view),
    view.askedAt ?? "",
    view.idempotencyKey,
  ]);
  return table(head, rows);
}

export function receivedTable(views: readonly ReceivedView[]): string {
  const head = ["RUN", "FROM", "AGENT", "KIND", "TENANT", "STATE", "RECEIVED", "KEPT UNTIL"];
  const rows = views.map((view) => [
    view.runId,
    view.from,
    view.agent,
    view.kind,
    view.tenant ?? "",
    standing(view),
    view.receivedAt ?? "",
    view.keptUntil ?? "",
  ]);
  return table(head, rows);
}
