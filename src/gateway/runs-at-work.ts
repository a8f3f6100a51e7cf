import { asPosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName } from "../base/names.ts";
import type { Liveness, Mailbox } from "../mailbox/mailbox.ts";
import type { RequestName } from "../protocol/object-key.ts";
import type { RunRef } from "../protocol/receipt.ts";
import type { Run } from "./run.ts";

/** The runs that one responder has at work, until each is done. */
export class RunsAtWork {
  readonly #box: Mailbox;
  readonly #runs = new Map<string, Run>();
  #stopping = false;
  /** Aborted, and replaced, whenever a run is done here. */
  #wake = new AbortController();

  constructor(box: Mailbox) {
    this.#box = box;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** Aborts when a run is done here. */
  get wake(): AbortSignal {
    return this.#wake.signal;
  }

  sentBy(sender: GatewayName): number {
    return this.ofSenders(new Set([sender])).length;
  }

  ofSenders(senders: ReadonlySet<GatewayName>): readonly Run[] {
    return [...this.#runs.values()].filter(({ receipt }) => senders.has(receipt.from));
  }

  /** Whether a run of this name is at work, whatever its request's bytes. */
  hasName({ from, runId }: Pick<RequestName, "from" | "runId">): boolean {
    return [...this.#runs.values()].some(
      ({ receipt }) => receipt.from === from && receipt.runId === runId,
    );
  }

  find(run: RunRef): Run | undefined {
    return this.#runs.get(runKey(run));
  }

  /** Whether this or any other responder of the same worker has it at work: then it is not taken over. */
  isOurs(run: RunRef): boolean {
    return runsOf(this.#box.liveness).has(runKey(run));
  }

  /** Forgets it again once it is done. Added while all are told to stop, it is left to whoever comes next. */
  add(run: Run): void {
    const key = runKey(run.receipt);
    this.#runs.set(key, run);
    runsOf(this.#box.liveness).add(key);
    if (this.#stopping) run.stop("stopping");
    const forget = (): void => {
      this.#runs.delete(key);
      runsOf(this.#box.liveness).delete(key);
      this.#wake.abort();
      this.#wake = new AbortController();
    };
    run.done.then(forget, forget);
  }

  /** Stops those whose key or grant was withdrawn. Throws `TRUST_*` when the own trust document cannot be used. */
  checkTrust(): void {
    for (const run of this.#runs.values()) run.checkTrust();
  }

  /** Tells every run to stop; it ends `interrupted`. */
  stop(): void {
    this.#stopping = true;
    for (const run of this.#runs.values()) run.stop("stopping");
  }

  /** Hears cancels of the runs, and looks at their grants, as far as store and trust allow. */
  async listen(): Promise<void> {
    for (const run of this.#runs.values()) {
      try {
        run.checkTrust();
        await run.hearCancel();
      } catch (thrown) {
        const { code } = asPosternError(thrown);
        this.#box.log.warn({ run: run.receipt.runId, code }, "cancels cannot be heard now");
      }
    }
  }

  /** Resolves when a run is done here, or after `ms`; at once where none is at work. */
  async oneDoneWithin(ms: number): Promise<void> {
    if (this.#runs.size > 0) await this.#box.clock.sleep(ms, this.#wake.signal);
  }

  /** Waits a moment for a run to be done here; says whether one was. */
  async oneDone(): Promise<boolean> {
    const { signal } = this.#wake;
    await this.oneDoneWithin(limits.pollDelayMs);
    return signal.aborted;
  }

  /** Resolves when no run is at work. Until then cancels are heard, as far as the store lets them through. */
  async settled(): Promise<void> {
    let heardMs = this.#box.clock.now();
    while (this.#runs.size > 0) {
      await this.oneDoneWithin(limits.pollDelayMs);
      const sinceMs = this.#box.clock.now() - heardMs;
      // Less than nothing where the clock was set back: how long it was is not known then.
      if (this.#stopping || (sinceMs >= 0 && sinceMs < limits.pollDelayMs)) continue;
      await this.#unlessOneDone(this.listen());
      heardMs = this.#box.clock.now();
    }
  }

  /** Waits no longer for the store than for a run: a store may never answer. */
  async #unlessOneDone(work: Promise<void>): Promise<void> {
    if (this.#runs.size === 0) return;
    const over = new AbortController();
    const done = AbortSignal.any([this.#wake.signal, over.signal]);
    await Promise.race([work, this.#box.clock.sleep(limits.longestSleepMs, done)]);
    over.abort();
  }
}

const runsOfWorkers = new WeakMap<Liveness, Set<string>>();

function runsOf(worker: Liveness): Set<string> {
  const known = runsOfWorkers.get(worker);
  if (known !== undefined) return known;
  const runs = new Set<string>();
  runsOfWorkers.set(worker, runs);
  return runs;
}

function runKey({ from, runId, requestDigest }: RunRef): string {
  return `${from}/${runId}/${requestDigest}`;
}
