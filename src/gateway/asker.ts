import type { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { RunId } from "../base/names.ts";
import { follow } from "../mailbox/follow.ts";
import type { PlacedFrame } from "../mailbox/frame-reader.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { toldApart } from "../mailbox/told-apart.ts";
import { Pace, type PaceBounds } from "./pace.ts";
import { isOfOneRun, type Failure, type Troubles } from "./troubles.ts";

/** When one asked run is looked at again. */
interface Turn {
  readonly pace: Pace;
  nextMs: number;
  /** The last frame that was met: an attempt may be read again from its beginning, and tells nothing new then. */
  last?: Pick<PlacedFrame, "attempt" | "seq">;
}

/** A run whose turn it is. */
interface Due {
  readonly runId: RunId;
  readonly turn: Turn;
}

/**
 * The caller's side in one process: sends again and closes what was asked from here and is not closed, each
 * run at its own pace.
 */
export class Asker {
  readonly #box: Mailbox;
  readonly #bounds: PaceBounds;
  readonly #troubles: Troubles;
  readonly #problems: PosternError[] = [];
  #turns = new Map<RunId, Turn>();
  #closed = 0;

  constructor(box: Mailbox, bounds: PaceBounds, troubles: Troubles) {
    this.#box = box;
    this.#bounds = bounds;
    this.#troubles = troubles;
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
   * Infinity. Rejects with what fails for all of them alike, as store, state and trust document do; what is
   * wrong with one run is among the problems, and a trouble of its callee.
   */
  async look(signal?: AbortSignal): Promise<number> {
    const asked = await this.#box.state.askedRuns({ limit: limits.askedTurns });
    const before = this.#turns;
    this.#turns = new Map();
    const due: Due[] = [];
    for (const { runId, state } of asked) {
      const turn = before.get(runId) ?? { pace: new Pace(this.#bounds), nextMs: 0 };
      this.#turns.set(runId, turn);
      if (turn.nextMs > this.#box.clock.now()) continue;
      // A late answer still counts, but it is not looked for every time.
      const looks =
        state === "open" || this.#box.random.fraction() * limits.passesPerUnknownLook < 1;
      if (looks) due.push({ runId, turn });
      else this.#endTurn(turn);
    }
    for (const { runId, turn } of this.#byLot(due)) {
      if (signal?.aborted === true) break;
      await this.#lookAt(runId, turn, signal);
      this.#endTurn(turn);
    }
    const next = Math.min(...[...this.#turns.values()].map(({ nextMs }) => nextMs));
    return Math.max(0, next - this.#box.clock.now());
  }

  /** Of more than one look has time for, chance takes some: what nothing comes of stands in nobody's way for ever. */
  #byLot(due: readonly Due[]): readonly Due[] {
    if (due.length <= limits.askedPerPass) return due;
    const drawn = due.map((each) => ({ each, lot: this.#box.random.fraction() }));
    const first = drawn.toSorted((a, b) => a.lot - b.lot).slice(0, limits.askedPerPass);
    return first.map(({ each }) => each);
  }

  #endTurn(turn: Turn): void {
    turn.nextMs = this.#box.clock.now() + turn.pace.delayMs(this.#box.random.fraction());
  }

  async #lookAt(runId: RunId, turn: Turn, signal?: AbortSignal): Promise<void> {
    const { pace } = turn;
    const refused: Failure[] = [];
    let found = false;
    try {
      const onRefused = (failure: Failure): void => void refused.push(failure);
      const frames = follow(this.#box, runId, {
        once: true,
        onRefused,
        ...(signal === undefined ? {} : { signal }),
      });
      let step = await frames.next();
      for (; step.done !== true; step = await frames.next()) {
        if (!isBehind(turn.last, step.value)) continue;
        found = true;
        turn.last = step.value;
      }
      if (found) pace.found();
      else pace.foundNothing();
      const closed = step.value.status === "closed";
      if (closed) this.#closed += 1;
      if (found || closed || refused.length > 0) await this.#note(runId, refused.at(-1));
    } catch (thrown) {
      pace.foundNothing();
      const error = await toldApart(this.#box, thrown);
      // Retention has taken it since it was listed.
      if (error.code === "RUN_UNKNOWN") return;
      // The store will say the same of the next run.
      if (!isOfOneRun(error)) throw error;
      this.#box.log.warn({ runId, code: error.code }, "the answers to a run cannot be read");
      this.#problems.push(error);
      await this.#note(runId, error);
    }
  }

  /** What has failed of a run's callee; without a failure, something went well. */
  async #note(runId: RunId, failure: Failure | undefined): Promise<void> {
    const record = await this.#box.state.outboxRecord(runId);
    if (record === undefined) return;
    if (failure === undefined) this.#troubles.wentWell(record.to);
    else this.#troubles.failed(record.to, failure);
  }
}

function isBehind(last: Turn["last"], { attempt, seq }: PlacedFrame): boolean {
  if (last === undefined || attempt > last.attempt) return true;
  return attempt === last.attempt && seq > last.seq;
}
