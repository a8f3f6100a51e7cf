import { toBase64Url } from "../base/bytes.ts";
import type { Work } from "./handler.ts";

/** The request as the program reads it: one JSON document. */
export function requestDocument(work: Work): object {
  const { body, callerIdentity, remoteRunId, via, meta, idempotencyKey } = work.request;
  const { runId, caller, agent, attempt, deadline } = work;
  const { kind, ...asked } = body;
  const grant =
    body.kind === "approvalGrant" ? { approvalGrant: toBase64Url(body.approvalGrant) } : {};
  return {
    v: 1,
    runId,
    caller,
    agent,
    attempt,
    deadline,
    ...asked,
    ...grant,
    callerIdentity,
    remoteRunId,
    via,
    meta,
    idempotencyKey,
  };
}

const keptVariables = ["PATH", "HOME", "LANG", "TZ"];

/** A clean environment: what a program cannot do without, and what says which run it is. */
export function environmentOf(
  work: Work,
  from: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const kept = keptVariables.flatMap((name) => {
    const value = from[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(kept),
    POSTERN_RUN_ID: work.runId,
    POSTERN_CALLER: work.caller,
    POSTERN_AGENT: work.agent,
    // Empty rather than absent, so that a script may read it under `set -u`.
    POSTERN_DEADLINE: work.deadline?.toString() ?? "",
  };
}
