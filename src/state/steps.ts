import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { RunId, WorkerId } from "../base/names.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { collect } from "./collect.ts";
import {
  type AskedRef,
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
  type QuarantineBudget,
  type QuarantineEntry,
  type QuarantineFilter,
  type QuarantineRef,
  quarantineRefused,
  releaseQuarantined,
} from "./quarantine.ts";
import type { Commit, Records } from "./records.ts";
import { recoverRecords } from "./recover.ts";
import { lookedAt, overviewOf, ownerViewOf, passedMeta, requireWritable } from "./rules.ts";
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
import { type Moment, Transactions } from "./transactions.ts";
import { clearTrouble, noteTrouble, type Trouble } from "./troubles.ts";

/** The steps over records that a driver keeps. Between two `await`s of a caller, one step is one transaction. */
export class RecordState implements State {
  readonly #transactions: Transactions;

  constructor(records: Records, clock: Clock) {
    this.#transactions = new Transactions(records, clock);
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
    return this.#transactions.write((records, moment) => {
      const view = viewOf(run, records, moment);
      const { answer, write, relaxed = false } = decide(view);
      if (write === undefined) return { committed: true, answer };
      if (commit === "relaxed" && !relaxed) return { committed: false, answer };
      requireWritable(run, view.receipt, write);
      records.receipts.put(write);
      return { committed: true, answer };
    }, commit);
  }

  async receipt(ref: RunRef): Promise<Receipt | undefined> {
    return this.#transactions.read(({ receipts }) => receipts.get(ref));
  }

  async receiptOfCancel(target: CancelTarget): Promise<Receipt | undefined> {
    return this.#transactions.read(({ receipts }) => receipts.ofCancel(target));
  }

  async receipts({ limit }: { readonly limit: number }): Promise<readonly Receipt[]> {
    return this.#transactions.read(({ receipts }) => receipts.latest(limit));
  }

  async receiptsNamed(runId: RunId): Promise<readonly Receipt[]> {
    return this.#transactions.read(({ receipts }) => receipts.named(runId));
  }

  async receiptRefs(filter: RefFilter): Promise<readonly RunRef[]> {
    return this.#transactions.read(({ receipts }) => receipts.refs(filter));
  }

  async openWorkers(): Promise<ReadonlySet<WorkerId>> {
    return this.#transactions.read(({ receipts }) => receipts.openWorkers());
  }

  async openOutbox(record: OutboxRecord): Promise<OpenedOutbox> {
    return this.#transactions.write(({ outbox }) => openOutbox(outbox, record));
  }

  async outboxRecord(runId: RunId): Promise<OutboxRecord | undefined> {
    return this.#transactions.read(({ outbox }) => outbox.get(runId)?.record);
  }

  async outboxRecords({ limit }: { readonly limit: number }): Promise<readonly OutboxRecord[]> {
    return this.#transactions.read(({ outbox }) => outbox.latest(limit));
  }

  async askedRuns({ limit }: { readonly limit: number }): Promise<readonly AskedRun[]> {
    return this.#transactions.read(({ outbox }) => outbox.asked(limit));
  }

  async noteOutbox(asked: AskedRef, note: OutboxNote): Promise<void> {
    await this.#transactions.write(
      ({ outbox }, { nowMs }) => noteOutbox(outbox, asked, note, nowMs),
      note.cancel === undefined ? "relaxed" : "durable",
    );
  }

  async closeOutbox(
    asked: AskedRef,
    transcript: Transcript,
  ): Promise<{ status: "closed" | "stood"; transcript: Transcript }> {
    return this.#transactions.write(
      ({ outbox }) => closeOutbox(outbox, asked, transcript),
      "relaxed",
    );
  }

  sync(): Promise<void> {
    return this.#transactions.sync();
  }

  async transcript(runId: RunId): Promise<Transcript | undefined> {
    return this.#transactions.read((records) =>
      records.read(() => records.outbox.transcript(runId)),
    );
  }

  async commitOwnerNonce(nonce: string): Promise<void> {
    await this.#transactions.write((records) => {
      if (!records.hasNonce(nonce)) records.putNonce(nonce);
    });
  }

  async knowsOwnerNonce(nonce: string): Promise<boolean> {
    return this.#transactions.read((records) => records.hasNonce(nonce));
  }

  async noteOwner(look: OwnerLook): Promise<void> {
    await this.#transactions.write(
      (records, { meta, nowMs }) => {
        const looked = lookedAt(meta, look, nowMs);
        if (looked !== meta) records.putMeta(looked);
      },
      look.elsewhere ? "durable" : "relaxed",
    );
  }

  async owner(): Promise<OwnerView> {
    return this.#transactions.read((records) => ownerViewOf(records.meta()));
  }

  async quarantine(
    entry: NewQuarantineEntry,
    budget: QuarantineBudget,
  ): Promise<"kept" | "known" | "over-budget"> {
    return this.#transactions.write((records) =>
      quarantineRefused(records.quarantine, entry, budget),
    );
  }

  async quarantined(filter: QuarantineFilter): Promise<readonly QuarantineEntry[]> {
    return this.#transactions.read(({ quarantine }) => quarantine.latest(filter));
  }

  async quarantinedEntry(id: string): Promise<QuarantineEntry | undefined> {
    return this.#transactions.read(({ quarantine }) => quarantine.get(id));
  }

  async releaseQuarantined(id: string): Promise<"released" | "unknown" | "not-kept"> {
    return this.#transactions.write(({ quarantine }) => releaseQuarantined(quarantine, id));
  }

  async releasedQuarantine({
    limit,
  }: {
    readonly limit: number;
  }): Promise<readonly QuarantineRef[]> {
    return this.#transactions.read(({ quarantine }) => quarantine.released(limit));
  }

  async discardQuarantined(id: string): Promise<boolean> {
    return this.#transactions.write(({ quarantine }) => discardQuarantined(quarantine, id));
  }

  async seeVersion(document: string, version: number): Promise<"fine" | "rolled-back"> {
    return this.#transactions.write((records) => {
      const highest = records.version(document);
      if (highest !== undefined && version < highest) return "rolled-back";
      if (version !== highest) records.putVersion(document, version);
      return "fine";
    });
  }

  async seenVersion(document: string): Promise<number> {
    return this.#transactions.read((records) => records.version(document) ?? 0);
  }

  async nextNumber(series: string): Promise<number> {
    return this.#transactions.write((records) => {
      const next = (records.lastNumber(series) ?? 0) + 1;
      records.putLastNumber(series, next);
      return next;
    });
  }

  async noteTrouble(trouble: Trouble): Promise<void> {
    await this.#transactions.write(({ troubles }) => noteTrouble(troubles, trouble), "relaxed");
  }

  async clearTrouble(subject: string): Promise<void> {
    await this.#transactions.write(({ troubles }) => clearTrouble(troubles, subject), "relaxed");
  }

  async troubles(): Promise<readonly Trouble[]> {
    return this.#transactions.read(({ troubles }) => troubles.all());
  }

  async notePass(pass: EndedPass): Promise<void> {
    await this.#transactions.write(
      (records, { meta }) => records.putMeta(passedMeta(meta, pass)),
      "relaxed",
    );
  }

  async overview(): Promise<Overview> {
    return this.#transactions.read((records) => records.read(() => overviewOf(records)));
  }

  async highestClockMs(): Promise<number> {
    return this.#transactions.read((records) => records.meta().highestClockMs);
  }

  async collect(options: CollectOptions): Promise<Collected> {
    return this.#transactions.write((records, moment) => collect(records, moment, options));
  }

  async recover(): Promise<{ readonly bornMs: number; readonly open: readonly Receipt[] }> {
    return this.#transactions.write((records, { nowMs }) => recoverRecords(records, nowMs));
  }

  close(): Promise<void> {
    return this.#transactions.close();
  }
}

function viewOf(run: SteppedRun, { receipts }: Records, { meta, nowMs }: Moment): RunView {
  const continues = run.continues ?? null;
  return {
    nowMs,
    highestClockMs: meta.highestClockMs,
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
