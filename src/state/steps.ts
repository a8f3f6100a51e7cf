import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { RunId, WorkerId } from "../base/names.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { collect } from "./collect.ts";
import {
  type AskedRun,
  closeOutbox,
  noteOutbox,
  openOutbox,
  type OpenedOutbox,
  type OutboxNote,
  type OutboxRecord,
  type Transcript,
} from "./outbox.ts";
import {
  discardQuarantined,
  type NewQuarantineEntry,
  quarantine,
  type QuarantineBudget,
  type QuarantineEntry,
  type QuarantineFilter,
  type QuarantineRef,
  releaseQuarantined,
} from "./quarantine.ts";
import type { Commit, Records } from "./records.ts";
import {
  lookedAt,
  type Moment,
  overviewOf,
  ownerViewOf,
  passedMeta,
  recoveredMeta,
  requireWritable,
} from "./rules.ts";
import type {
  CancelTarget,
  CollectOptions,
  Collected,
  EndedPass,
  Overview,
  OwnerLook,
  OwnerView,
  RefFilter,
  RunStep,
  RunView,
  State,
  StepOptions,
  SteppedRun,
} from "./state.ts";
import { clearTrouble, noteTrouble, type Trouble } from "./troubles.ts";

/** The steps over records that a driver keeps. Between two `await`s of a caller, one step is one transaction. */
export class RecordState implements State {
  readonly #records: Records;
  readonly #clock: Clock;
  #stepping = false;
  #closed = false;

  constructor(records: Records, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  async stepRun<T>(
    run: SteppedRun,
    decide: (view: RunView) => RunStep<T>,
    { mayRelax = false }: StepOptions = {},
  ): Promise<T> {
    const first = mayRelax ? await this.#stepRun(run, decide, "relaxed") : undefined;
    if (first?.committed === true) return first.answer;
    return (await this.#stepRun(run, decide, "durable")).answer;
  }

  /** Not committed: a relaxed step that came to what has to be durable, and wrote nothing. */
  #stepRun<T>(
    run: SteppedRun,
    decide: (view: RunView) => RunStep<T>,
    commit: Commit,
  ): Promise<{ readonly committed: boolean; readonly answer: T }> {
    return this.#write((moment) => {
      const view = this.#viewOf(run, moment);
      const { answer, write, relaxed = false } = decide(view);
      if (write === undefined) return { committed: true, answer };
      if (commit === "relaxed" && !relaxed) return { committed: false, answer };
      requireWritable(run, view.receipt, write);
      this.#records.receipts.put(write);
      return { committed: true, answer };
    }, commit);
  }

  async receipt(ref: RunRef): Promise<Receipt | undefined> {
    return this.#read(() => this.#records.receipts.get(ref));
  }

  async receiptOfCancel(target: CancelTarget): Promise<Receipt | undefined> {
    return this.#read(() => this.#records.receipts.ofCancel(target));
  }

  async receipts({ limit }: { readonly limit: number }): Promise<readonly Receipt[]> {
    return this.#read(() => this.#records.receipts.latest(limit));
  }

  async receiptsNamed(runId: RunId): Promise<readonly Receipt[]> {
    return this.#read(() => this.#records.receipts.named(runId));
  }

  async receiptRefs(filter: RefFilter): Promise<readonly RunRef[]> {
    return this.#read(() => this.#records.receipts.refs(filter));
  }

  async openWorkers(): Promise<ReadonlySet<WorkerId>> {
    return this.#read(() => this.#records.receipts.openWorkers());
  }

  async openOutbox(record: OutboxRecord): Promise<OpenedOutbox> {
    return this.#write(() => openOutbox(this.#records.outbox, record));
  }

  async outboxRecord(runId: RunId): Promise<OutboxRecord | undefined> {
    return this.#read(() => this.#records.outbox.get(runId)?.record);
  }

  async outboxRecords({ limit }: { readonly limit: number }): Promise<readonly OutboxRecord[]> {
    return this.#read(() => this.#records.outbox.latest(limit));
  }

  async askedRuns({ limit }: { readonly limit: number }): Promise<readonly AskedRun[]> {
    return this.#read(() => this.#records.outbox.asked(limit));
  }

  async noteOutbox(runId: RunId, note: OutboxNote): Promise<void> {
    await this.#write(
      ({ nowMs }) => noteOutbox(this.#records.outbox, runId, note, nowMs),
      note.cancel === undefined ? "relaxed" : "durable",
    );
  }

  async closeOutbox(
    runId: RunId,
    transcript: Transcript,
  ): Promise<{ status: "closed" | "stood"; transcript: Transcript }> {
    return this.#write(() => closeOutbox(this.#records.outbox, runId, transcript), "relaxed");
  }

  async sync(): Promise<void> {
    await this.#step(() => this.#records.sync());
  }

  async transcript(runId: RunId): Promise<Transcript | undefined> {
    return this.#read(() => this.#records.read(() => this.#records.outbox.transcript(runId)));
  }

  async commitOwnerNonce(nonce: string): Promise<void> {
    await this.#write(() => {
      if (!this.#records.hasNonce(nonce)) this.#records.putNonce(nonce);
    });
  }

  async knowsOwnerNonce(nonce: string): Promise<boolean> {
    return this.#read(() => this.#records.hasNonce(nonce));
  }

  async noteOwner(look: OwnerLook): Promise<void> {
    await this.#write(
      ({ meta, nowMs }) => {
        const looked = lookedAt(meta, look, nowMs);
        if (looked !== meta) this.#records.putMeta(looked);
      },
      look.elsewhere ? "durable" : "relaxed",
    );
  }

  async owner(): Promise<OwnerView> {
    return this.#read(() => ownerViewOf(this.#records.meta()));
  }

  async quarantine(
    entry: NewQuarantineEntry,
    budget: QuarantineBudget,
  ): Promise<"kept" | "known" | "over-budget"> {
    return this.#write(() => quarantine(this.#records.quarantine, entry, budget));
  }

  async quarantined(filter: QuarantineFilter): Promise<readonly QuarantineEntry[]> {
    return this.#read(() => this.#records.quarantine.latest(filter));
  }

  async quarantinedEntry(id: string): Promise<QuarantineEntry | undefined> {
    return this.#read(() => this.#records.quarantine.get(id));
  }

  async releaseQuarantined(id: string): Promise<"released" | "unknown" | "not-kept"> {
    return this.#write(() => releaseQuarantined(this.#records.quarantine, id));
  }

  async releasedQuarantine({
    limit,
  }: {
    readonly limit: number;
  }): Promise<readonly QuarantineRef[]> {
    return this.#read(() => this.#records.quarantine.released(limit));
  }

  async discardQuarantined(id: string): Promise<boolean> {
    return this.#write(() => discardQuarantined(this.#records.quarantine, id));
  }

  async seeVersion(document: string, version: number): Promise<"fine" | "rolled-back"> {
    return this.#write(() => {
      const highest = this.#records.version(document);
      if (highest !== undefined && version < highest) return "rolled-back";
      if (version !== highest) this.#records.putVersion(document, version);
      return "fine";
    });
  }

  async seenVersion(document: string): Promise<number> {
    return this.#read(() => this.#records.version(document) ?? 0);
  }

  async nextNumber(series: string): Promise<number> {
    return this.#write(() => {
      const next = (this.#records.lastNumber(series) ?? 0) + 1;
      this.#records.putLastNumber(series, next);
      return next;
    });
  }

  async noteTrouble(trouble: Trouble): Promise<void> {
    await this.#write(() => noteTrouble(this.#records.troubles, trouble), "relaxed");
  }

  async clearTrouble(subject: string): Promise<void> {
    await this.#write(() => clearTrouble(this.#records.troubles, subject), "relaxed");
  }

  async troubles(): Promise<readonly Trouble[]> {
    return this.#read(() => this.#records.troubles.all());
  }

  async notePass(pass: EndedPass): Promise<void> {
    await this.#write(({ meta }) => this.#records.putMeta(passedMeta(meta, pass)), "relaxed");
  }

  async overview(): Promise<Overview> {
    return this.#read(() => this.#records.read(() => overviewOf(this.#records)));
  }

  async highestClockMs(): Promise<number> {
    return this.#read(() => this.#records.meta().highestClockMs);
  }

  async collect(options: CollectOptions): Promise<Collected> {
    return this.#write((moment) => collect(this.#records, moment, options));
  }

  async recover(): Promise<{ readonly bornMs: number; readonly open: readonly Receipt[] }> {
    return this.#write(({ nowMs }) => recoverRecords(this.#records, nowMs));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Whoever waits for a step is told themselves.
    await this.#records.settled().catch(() => undefined);
    this.#records.close();
  }

  #viewOf(run: SteppedRun, { meta, nowMs }: Moment): RunView {
    const { receipts } = this.#records;
    const continues = run.continues ?? null;
    return {
      nowMs,
      highestClockMs: meta.highestClockMs,
      bornMs: meta.bornMs,
      owner: ownerViewOf(meta),
      receipt: receipts.get(run),
      get blocked() {
        return receipts.isBlocked(run);
      },
      get continued() {
        return continues === null ? undefined : receipts.admitted(run.from, continues);
      },
      get peer() {
        return receipts.peerWork(run.from, run.runId, nowMs - limits.rateWindowMs);
      },
    };
  }

  #read<T>(step: () => T): Promise<T> {
    return this.#settled(this.#step(step));
  }

  /** Whatever a write changes, the highest clock value is committed with it. */
  #write<T>(step: (moment: Moment) => T, commit: Commit = "durable"): Promise<T> {
    const written = this.#step(() =>
      this.#records.write(() => {
        const meta = this.#records.meta();
        const nowMs = this.#clock.now();
        const answer = step({ meta, nowMs });
        if (this.#records.dirty) this.#records.raiseClock(nowMs);
        return answer;
      }, commit),
    );
    return this.#settled(written);
  }

  /** Nobody is told what a loss of power could still undo: neither who wrote it, nor who read it here. */
  async #settled<T>(answer: T): Promise<T> {
    await this.#records.settled();
    return answer;
  }

  /** A step taken from within a deciding function would join, and end, the transaction it decides in. */
  #step<T>(run: () => T): T {
    if (this.#closed) throw new PosternError("INTERNAL", "the state was used after it was closed");
    if (this.#stepping)
      throw new PosternError("INTERNAL", "a step of the state was taken inside another one");
    this.#stepping = true;
    try {
      return run();
    } finally {
      this.#stepping = false;
    }
  }
}

/** What `recover` does, for a driver that changes more in the same write. */
export function recoverRecords(
  records: Records,
  nowMs: number,
): { bornMs: number; open: Receipt[] } {
  records.putMeta(recoveredMeta(records.meta(), nowMs));
  // What was received before the recovery is known by that, whatever the clock was then.
  records.receipts.dateUntil(nowMs);
  records.deleteNonces();
  records.raiseClock(nowMs);
  const open = records.receipts.refs({ are: "open", limit: Number.MAX_SAFE_INTEGER });
  return { bornMs: nowMs, open: open.flatMap((ref) => records.receipts.get(ref) ?? []) };
}
