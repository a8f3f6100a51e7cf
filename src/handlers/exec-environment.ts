import type { Work } from "./handler.ts";

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
