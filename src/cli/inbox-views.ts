import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { InboxLook, InboxRequest } from "../mailbox/look-at-inbox.ts";
import type { Prospect } from "../mailbox/preview.ts";
import type { Claims } from "../protocol/envelope.ts";
import { objectKey } from "../protocol/object-key.ts";
import type { RequestPayload } from "../protocol/request.ts";
import { roughDuration } from "./duration.ts";
import { fieldLines } from "./field-lines.ts";
import { isoSeconds, isoTime } from "./iso-time.ts";
import { table } from "./output.ts";
import { requestOf } from "./run-details.ts";
import { receivedView } from "./run-views.ts";
import { secondsOf } from "./status/view.ts";

/** A request in the inbox, as `inbox list` and `inbox show` tell it. */
type InboxView = ReturnType<typeof inboxView>;

/** `nowMs` is the time here; the store's clock says when the request was put. */
function inboxView(request: InboxRequest, nowMs: number) {
  const { name, size, modifiedMs, requestDigest, cancelListed, preview } = request;
  const { verified, prospect } = preview;
  const isVerified = !(verified instanceof PosternError);
  return {
    runId: name.runId,
    from: name.from,
    agent: isVerified ? verified.received.agent : null,
    kind: isVerified ? verified.received.kind : null,
    size,
    modifiedAt: isoTime(modifiedMs),
    ageSeconds: secondsOf(nowMs - modifiedMs),
    key: objectKey(name),
    requestDigest,
    verified: isVerified,
    code: isVerified ? null : verified.code,
    cancel: cancelListed,
    admission: admissionView(prospect),
  };
}

/** What a pass would do now: `outcome` is how the run ends or has ended, `state` that of a receipt that stands. */
export function admissionView(prospect: Prospect) {
  const { status } = prospect;
  const nothing = { status, code: null, outcome: null, state: null };
  switch (prospect.status) {
    case "admitted":
      return nothing;
    case "waits":
    case "quarantined":
      return { ...nothing, code: prospect.code };
    case "answered": {
      const { outcome } = prospect;
      return { ...nothing, code: outcome.error?.code ?? null, outcome: outcome.status };
    }
    case "exists": {
      const { state, ended } = prospect.receipt;
      const payload = ended?.terminal?.payload;
      return {
        status,
        code: payload?.error?.code ?? null,
        outcome: payload?.status ?? null,
        state,
      };
    }
  }
}

/** The same in a few words. */
export function admissionText(admission: ReturnType<typeof admissionView>): string {
  const { status, code, outcome, state } = admission;
  const words = {
    admitted: ["would be admitted"],
    waits: ["waits", code],
    quarantined: ["would be quarantined", code],
    answered: ["would end", outcome, code],
    exists: ["has a receipt:", state, outcome, code],
  };
  return words[status].filter((word) => word !== null).join(" ");
}

export function inboxLookView({ requests, unknown, more }: InboxLook, nowMs: number) {
  return {
    requests: requests.map((request) => inboxView(request, nowMs)),
    unknown: unknown.map(({ key, size, modifiedMs }) => ({
      key,
      size,
      modifiedAt: isoTime(modifiedMs),
    })),
    more,
  };
}

export function inboxTables({ requests, unknown }: ReturnType<typeof inboxLookView>): string {
  const head = ["RUN", "FROM", "AGENT", "KIND", "BYTES", "AGE", "VERIFIED", "CANCEL", "ADMISSION"];
  const waiting = table(head, requests.map(rowOf));
  if (unknown.length === 0) return waiting;
  const rows = unknown.map(({ key, size, modifiedAt }) => [`${size}`, modifiedAt, key]);
  return `${waiting}\n\n${table(["BYTES", "MODIFIED", "NAME THAT NO RULE MAKES"], rows)}`;
}

function rowOf(view: InboxView): string[] {
  return [
    view.runId,
    view.from,
    view.agent ?? "-",
    view.kind ?? "-",
    `${view.size}`,
    roughDuration(1000 * view.ageSeconds),
    view.code ?? "yes",
    view.cancel ? "yes" : "-",
    admissionText(view.admission),
  ];
}

/**
 * All that can be told of one request. Of one that does not verify that is what its headers say, under
 * `untrusted`; its payload is not looked at.
 */
export function inboxDetails(request: InboxRequest, nowMs: number) {
  const { verified, headers, prospect } = request.preview;
  const said = headers && { kid: headers.kid, ...claimsView(headers.claims) };
  const isVerified = !(verified instanceof PosternError);
  return {
    ...inboxView(request, nowMs),
    detail: isVerified ? null : verified.message,
    signed: isVerified ? said : null,
    untrusted: isVerified ? null : said,
    content: isVerified ? contentView(verified.payload) : null,
    receipt: prospect.status === "exists" ? receivedView(prospect.receipt) : null,
  };
}

function claimsView({ iss, aud, iat, exp }: Claims) {
  return { iss, aud, issuedAt: isoSeconds(iat), expiresAt: isoSeconds(exp) };
}

function contentView(payload: RequestPayload) {
  const { idempotencyKey, callerIdentity, remoteRunId, deadline, via, meta, body } = payload;
  return {
    idempotencyKey,
    callerIdentity,
    continues: remoteRunId ?? null,
    deadline: isoSeconds(deadline),
    via: via ?? null,
    meta: meta ?? null,
    ...requestOf(body),
  };
}

/** The same for people, with what may be long cut off. */
export function inboxDetailLines(details: ReturnType<typeof inboxDetails>): string {
  const { ageSeconds, admission, content, receipt, ...rest } = details;
  const cut = Object.entries(content ?? {}).map(([name, value]) => [name, bounded(value)] as const);
  return fieldLines({
    ...rest,
    age: roughDuration(1000 * ageSeconds),
    admission: admissionText(admission),
    ...Object.fromEntries(cut),
    receipt,
  });
}

function bounded(value: unknown): unknown {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const over = text.length - limits.maxShownCharacters;
  if (over <= 0) return value;
  const begin = text.slice(0, limits.maxShownCharacters).toWellFormed();
  return `${begin}... (${over} characters more: --json shows all)`;
}
