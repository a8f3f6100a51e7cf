import { asPosternError, type PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { RunId } from "../base/names.ts";
import { follow } from "../mailbox/follow.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { Pace, type PaceBounds } from "./pace.ts";
import { isOfOneRun } from "./responder.ts";

/** When one asked run is looked at again. */
interface Turn {
  readonly pace: Pace;
  nextMs: number;
}

/**
 * The caller's side in one process: sends again and closes what was asked from here and is not closed, each
 * run at its own pace.
 */
export class Asker {
  readonly #box: Mailbox;
  readonly #bounds: PaceBounds;
  readonly #problems: PosternError[] = [];
  #turns = new Map<RunId, Turn>();
  #closed = 0;

  constructor(box: Mailbox, bounds: PaceBounds) {
    this.#box = box;
    this.#bounds = bounds;
  }

  /** Runs that were closed here. */
  get closed(): number {
    return this.#closed;
  }

  /** What went wrong with single runs, since it was last asked. */
  takeProblems(): readonly PosternError[] {
    return this.#problems.splice(0);
  }

  /**
   * One look for an answer to every run that is due; says when the next one is, in milliseconds from now, or
   * Infinity. Rejects with what fails for all of them alike, as store,
   * state and trust document do; what is wrong with one run is among the problems.
   */
  async look(signal?: AbortSignal): Promise<number> {
    const asked = await this.#box.state.askedRuns({ limit: limits.askedPerPass });
    const before = this.#turns;
    this.#turns = new Map();
    for (const { runId, state } of asked) {
      const turn = before.get(runId) ?? { pace: new Pace(this.#bounds), nextMs: 0 };
      this.#turns.set(runId, turn);
      if (signal?.aborted === true || turn.nextMs > this.#box.clock.now()) continue;
      // A late answer still counts, but it is not looked for every time.
      const looks =
        state === "open" || this.#box.random.fraction() * limits.passesPerUnknownLook < 1;
      if (looks) await this.#lookAt(runId, turn);
      turn.nextMs = this.#box.clock.now() + turn.pace.delayMs(this.#box.random.fraction());
    }
    const next = Math.min(...[...this.#turns.values()].map(({ nextMs }) => nextMs));
    return Math.max(0, next - this.#box.clock.now());
  }

  async #lookAt(runId: RunId, { pace }: Turn): Promise<void> {
    try {
      const frames = follow(this.#box, runId, { once: true });
      let step = await frames.next();
      if (step.done === true) pace.foundNothing();
      else pace.found();
      while (step.done !== true) step = await frames.next();
      if (step.value.status === "closed") this.#closed += 1;
    } catch (thrown) {
      pace.foundNothing();
      const error = asPosternError(thrown);
      // The store will say the same of the next run.
      if (!isOfOneRun(error)) throw error;
      this.#box.log.warn({ runId, code: error.code }, "the answers to a run cannot be read");
      this.#problems.push(error);
    }
  }
}
