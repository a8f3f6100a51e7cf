import { asPosternError, type PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { follow } from "../mailbox/follow.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { sweepFrames } from "../mailbox/sweep.ts";
import { Responder, type Responded, type ResponderOptions } from "./responder.ts";

export interface PollOptions extends ResponderOptions {
  /** Admits at most so many runs. */
  readonly maxRuns?: number;
  /** Admits nothing later than this after the start; what runs goes on to its end. */
  readonly maxTimeMs?: number;
  /** Admits nothing more, and ends what runs `interrupted`. */
  readonly signal?: AbortSignal;
}

export interface PollReport extends Responded {
  /** Runs asked from here that were closed by this pass. */
  readonly closed: number;
  readonly collected: number;
  /** What failed without stopping the pass, in order. */
  readonly problems: readonly PosternError[];
}

/**
 * One pass in both directions: sends again and closes what was asked from here; takes over what a dead
 * worker left; admits, runs and answers what waits, until nothing waits and nothing runs; then collects a
 * slice of what retention no longer keeps.
 *
 * Rejects with `STATE_ELSEWHERE`, `TRUST_*`, `CLOCK_BEHIND`, `OWNER_UNCHECKED`, or as store and state do,
 * after what runs has come to its end.
 */
export async function poll(box: Mailbox, options: PollOptions): Promise<PollReport> {
  const problems: PosternError[] = [];
  const closed = await closeAsked(box, problems);
  const responder = new Responder(box, options);
  await respond(box, responder, options);
  if (box.random.fraction() * limits.passesPerSweep < 1) await sweepFrames(box);
  const { skewMs, retentionMs, collectPerPass: limit } = limits;
  const collected = await box.state.collect({ limit, skewMs, retentionMs });
  return {
    ...responder.counts,
    closed,
    collected: collected.receipts + collected.outbox + collected.quarantine,
    problems: [...problems, ...responder.problems],
  };
}

async function respond(box: Mailbox, responder: Responder, options: PollOptions): Promise<void> {
  const { maxRuns = Infinity, maxTimeMs = Infinity, signal } = options;
  const untilMs = box.clock.now() + maxTimeMs;
  const mayStart = (): boolean => {
    const { admitted, takenOver } = responder.counts;
    return signal?.aborted !== true && box.clock.now() < untilMs && admitted + takenOver < maxRuns;
  };
  const stop = (): void => responder.stop();
  signal?.addEventListener("abort", stop);
  try {
    await responder.recover(mayStart);
    await responder.scan(mayStart);
    while (responder.active > 0) {
      await responder.settledWithin(limits.pollDelayMs);
      // While something runs on, cancels are listened for, and new work is taken as well.
      if (responder.active > 0) await responder.scan(mayStart);
    }
  } finally {
    await responder.settled();
    signal?.removeEventListener("abort", stop);
  }
}

/** One look for answers to everything that was asked from here and is not closed. */
async function closeAsked(box: Mailbox, problems: PosternError[]): Promise<number> {
  let closed = 0;
  const asked = await box.state.outboxRecords({ are: "unclosed", limit: limits.askedPerPass });
  for (const { runId, state } of asked) {
    // A late answer still counts, but it is not looked for in every pass.
    const looks = state === "open" || box.random.fraction() * limits.passesPerUnknownLook < 1;
    if (!looks) continue;
    try {
      const frames = follow(box, runId, { once: true });
      let step = await frames.next();
      while (step.done !== true) step = await frames.next();
      if (step.value.status === "closed") closed += 1;
    } catch (thrown) {
      const error = asPosternError(thrown);
      if (error.class === "store" || error.code.startsWith("TRUST_")) throw error;
      box.log.warn({ runId, code: error.code }, "the answers to a run cannot be read");
      problems.push(error);
    }
  }
  return closed;
}
