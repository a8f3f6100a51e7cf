import type { GcReport, SweptStore } from "../gateway/gc.ts";
import { table } from "./output.ts";

/** What `postern gc --json` prints: how many of each kind went, or in a dry run would go. */
export interface GcView {
  readonly dryRun: boolean;
  /** Rows. */
  readonly state: {
    readonly receipts: number;
    /** Runs asked from here, each with its transcript. */
    readonly asked: number;
    readonly quarantine: number;
    readonly troubles: number;
  };
  /** Objects: with a problem, those that went in spite of it. */
  readonly store: SweptStore;
  /** What kept anything in the store from being looked at or deleted. */
  readonly problem: { readonly code: string; readonly message: string } | null;
}

export function gcView({ state, store, problem }: GcReport, dryRun: boolean): GcView {
  const { receipts, outbox: asked, quarantine, troubles } = state;
  return {
    dryRun,
    state: { receipts, asked, quarantine, troubles },
    store,
    problem: problem === null ? null : { code: problem.code, message: problem.message },
  };
}

export function gcTable({ dryRun, state, store }: GcView): string {
  const rows = [
    ["receipts", state.receipts],
    ["runs asked, with transcripts", state.asked],
    ["quarantine entries", state.quarantine],
    ["troubles", state.troubles],
    ["frames of closed runs", store.answeredFrames],
    ["frames of unknown runs, past retention", store.unknownFrames],
    ["spent cancels", store.cancels],
    ["left-over probes", store.probes],
    ["past owner keys", store.ownerKeys],
    ["left-over temporaries", store.temporaries],
  ];
  const shown = rows.map((row) => row.map(String));
  return table(["KIND", dryRun ? "WOULD GO" : "GONE"], shown);
}
