import { latest } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import type { Receipt } from "../protocol/receipt.ts";
import type { Meta, Records } from "./records.ts";
import type { EndedPass, Overview, OwnerLook, OwnerView, SteppedRun } from "./state.ts";

/** A state that has seen nothing yet. */
export function newMeta(nowMs: number): Meta {
  return {
    highestClockMs: nowMs,
    bornMs: 0,
    lookMs: null,
    generation: 0,
    claimedMs: null,
    elsewhere: false,
    lastPassMs: null,
    lastPassCode: null,
    lastGoodPassMs: null,
  };
}

/** Throws `INTERNAL` for a receipt that a step about `run` must not write. */
export function requireWritable(
  run: SteppedRun,
  standing: Receipt | undefined,
  written: Receipt,
): void {
  const { from, runId, requestDigest } = written;
  if (from !== run.from || runId !== run.runId || requestDigest !== run.requestDigest) {
    throw new PosternError(
      "INTERNAL",
      `a step about run ${run.runId} wrote the receipt of another request, of run ${runId}`,
    );
  }
  if ((written.state === "ended") !== (written.ended !== null)) {
    throw new PosternError(
      "INTERNAL",
      `a receipt of run ${run.runId} is ended without an ending, or the reverse`,
    );
  }
  if (standing?.state === "ended" && written.state !== "ended") {
    throw new PosternError("INTERNAL", `run ${run.runId} has ended and cannot be opened again`);
  }
}

/** Whether no other digest may be admitted under the run: not when it never ran, never will, and said nothing else. */
export function standsInTheWay({ admitted, ended }: Receipt): boolean {
  if (admitted || ended === null) return true;
  const outcome = ended.terminal?.payload.status;
  return outcome !== undefined && outcome !== "expired";
}

export function ownerViewOf(meta: Meta): OwnerView {
  const { bornMs, lookMs, generation, claimedMs, elsewhere } = meta;
  const recovering = bornMs > 0 && lookMs === null;
  const unclaimed = bornMs > 0 && claimedMs === null;
  return { bornMs, lookMs, generation, claimedMs, elsewhere, recovering, unclaimed };
}

export function passedMeta(meta: Meta, { atMs, code }: EndedPass): Meta {
  const lastGoodPassMs = code === null ? atMs : meta.lastGoodPassMs;
  return { ...meta, lastPassMs: atMs, lastPassCode: code, lastGoodPassMs };
}

export function overviewOf(records: Records): Overview {
  const meta = records.meta();
  const { highestClockMs, lastPassMs, lastPassCode, lastGoodPassMs } = meta;
  return {
    received: records.receipts.overview(),
    asked: records.outbox.overview(),
    quarantine: records.quarantine.overview(),
    owner: ownerViewOf(meta),
    highestClockMs,
    lastPass: lastPassMs === null ? null : { atMs: lastPassMs, code: lastPassCode },
    lastGoodPassMs,
  };
}

/**
 * What stands after a look at the owner keys; the same object when it says nothing new. A recovered state counts as
 * born once its first claim stands: until then another one may have served the name.
 */
export function lookedAt(meta: Meta, look: OwnerLook, nowMs: number): Meta {
  // Not told by the clock: what the look began from was read before, perhaps by a clock that was ahead.
  if (look.bornMs !== meta.bornMs) return meta;
  const claimedMs = claimedAt(meta, look);
  const isFirstClaim = meta.claimedMs === null && claimedMs !== null;
  const looked: Meta = {
    ...meta,
    bornMs: meta.bornMs > 0 && isFirstClaim ? Math.max(meta.bornMs, nowMs) : meta.bornMs,
    lookMs: latest(meta.lookMs, look.begunMs),
    generation: Math.max(meta.generation, look.generation),
    claimedMs,
    elsewhere: meta.elsewhere || look.elsewhere,
  };
  const changed =
    looked.lookMs !== meta.lookMs ||
    looked.generation !== meta.generation ||
    looked.claimedMs !== meta.claimedMs ||
    looked.elsewhere !== meta.elsewhere;
  return changed ? looked : meta;
}

/** A claim belongs to its generation: the next one voids it, and an earlier one tells nothing of it. */
function claimedAt(meta: Meta, look: OwnerLook): number | null {
  if (look.generation > meta.generation) return look.claimedMs;
  if (look.generation < meta.generation) return meta.claimedMs;
  return latest(meta.claimedMs, look.claimedMs);
}
