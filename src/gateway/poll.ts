import { asPosternError, type PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { requireTrust } from "../mailbox/grants.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { Asker } from "./asker.ts";
import { Pace } from "./pace.ts";
import { sweepFrames } from "../mailbox/sweep.ts";
import { Responder, type Responded, type ResponderOptions } from "./responder.ts";
import type { MayStart } from "./scan.ts";
import { isOfOneRun, Troubles } from "./troubles.ts";

export interface PollOptions extends ResponderOptions {
  /** Admits at most so many runs. */
  readonly maxRuns?: number;
  /** Admits nothing later than this after what was asked from here has been seen to; what runs goes on to its end. */
  readonly maxTimeMs?: number;
  /** Admits nothing more, and ends what runs `interrupted`. */
  readonly signal?: AbortSignal;
  /** Called once nothing more is admitted, while what runs goes on to its end. */
  readonly onAdmissionOver?: () => void;
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
  const troubles = new Troubles(box);
  try {
    const report = await wholePass(box, options, troubles);
    troubles.ended(
      "answering",
      report.problems.find((problem) => !isOfOneRun(problem)),
    );
    return report;
  } catch (thrown) {
    troubles.ended("answering", asPosternError(thrown));
    throw thrown;
  } finally {
    await troubles.tell();
  }
}

async function wholePass(
  box: Mailbox,
  options: PollOptions,
  troubles: Troubles,
): Promise<PollReport> {
  // Said even when nothing waits: a document that cannot be used is no reason for silence.
  await requireTrust(box);
  const asker = new Asker(box, { minDelayMs: 0, maxDelayMs: 0 }, troubles);
  const asking = await failureOf(asker.look(options.signal));
  const problems = [...asker.takeProblems(), ...asking];
  const responder = new Responder(box, options, troubles);
  await respond(box, responder, options);
  problems.push(...(await failureOf(sweepNowAndThen(box))));
  const collected = await collectSlice(box);
  return {
    ...responder.counts,
    closed: asker.closed,
    collected,
    problems: [...problems, ...responder.takeProblems()],
  };
}

/** Left-over frames are looked for in one of so many passes, and in a bounded stretch of a listing. */
export async function sweepNowAndThen(box: Mailbox): Promise<void> {
  const isTurn = box.random.fraction() * limits.passesPerSweep < 1;
  if (isTurn) await sweepFrames(box, { maxPages: limits.sweptPages });
}

/** Drops a slice of what retention no longer keeps; answers with how many rows went. */
export async function collectSlice(box: Mailbox): Promise<number> {
  const { skewMs, retentionMs, collectPerPass: limit } = limits;
  const options = { limit, skewMs, retentionMs };
  const { receipts, outbox, quarantine, troubles } = await box.state.collect(options);
  return receipts + outbox + quarantine + troubles;
}

/** What one part of a pass fails at does not keep the others from their work. */
async function failureOf(work: Promise<unknown>): Promise<readonly PosternError[]> {
  try {
    await work;
    return [];
  } catch (thrown) {
    return [asPosternError(thrown)];
  }
}

async function respond(box: Mailbox, responder: Responder, options: PollOptions): Promise<void> {
  const { maxRuns = Infinity, maxTimeMs = Infinity, signal, onAdmissionOver } = options;
  const untilMs = box.clock.now() + maxTimeMs;
  const mayStart: MayStart = (onTheirWay) => {
    const started = startedBy(responder) + onTheirWay;
    return signal?.aborted !== true && box.clock.now() < untilMs && started < maxRuns;
  };
  const stop = (): void => responder.runs.stop();
  signal?.addEventListener("abort", stop);
  try {
    await responder.recover(mayStart);
    await responder.scan(mayStart);
    await goOn(box, responder, mayStart);
  } finally {
    // What runs comes to its end, whatever went wrong; meanwhile another pass may take new work.
    onAdmissionOver?.();
    await responder.runs.settled();
    signal?.removeEventListener("abort", stop);
  }
}

function startedBy({ counts }: Responder): number {
  return counts.admitted + counts.takenOver;
}

/**
 * While runs go on and more may start, new work is taken as it comes. A look that fails for the moment is
 * repeated; rejects with what the last one failed with.
 */
async function goOn(box: Mailbox, responder: Responder, mayStart: MayStart): Promise<void> {
  let failure: PosternError | undefined;
  const pace = new Pace({ minDelayMs: limits.pollDelayMs, maxDelayMs: limits.runDelayMs });
  while (responder.isAtWork && mayStart(0)) {
    // Also where none is at work any more: what could not even be started is not taken up again and again.
    await box.clock.sleep(pace.delayMs(box.random.fraction()), responder.runs.wake);
    if (responder.runs.size === 0 && !responder.hasWaiting) break;
    try {
      const before = startedBy(responder);
      // Once the document cannot be used any more, nothing that is taken over could be started.
      await requireTrust(box);
      // Other processes of the home may have come to their end since the pass began, or gone.
      await responder.recover(mayStart);
      await responder.scan(mayStart);
      if (startedBy(responder) > before) pace.found();
      else pace.foundNothing();
      failure = undefined;
    } catch (thrown) {
      failure = asPosternError(thrown);
      box.log.warn({ code: failure.code }, "the inbox cannot be looked at now");
      if (responder.runs.size === 0) break;
      await responder.runs.listen();
    }
  }
  if (failure !== undefined) throw failure;
}
