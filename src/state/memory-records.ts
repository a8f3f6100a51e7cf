import type { GatewayName, RunId, WorkerId } from "../base/names.ts";
import { matchesDigest16 } from "../protocol/object-key.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { askedOverviewOf, bucketOverviewsOf, receivedOverviewOf } from "./memory-overview.ts";
import type { AskedOverview, AskedRun, OutboxRecord, StoredOutbox, Transcript } from "./outbox.ts";
import type {
  BucketOverview,
  QuarantineEntry,
  QuarantineFilter,
  QuarantineHeld,
  QuarantineRef,
} from "./quarantine.ts";
import type { Commit, Meta, OldReceipt, PeerWork, Records } from "./records.ts";
import { keptUntilMs, type Retention } from "./retention.ts";
import { newMeta, standsInTheWay } from "./rules.ts";
import type { CancelTarget, ReceivedOverview, RefFilter } from "./state.ts";
import type { Trouble } from "./troubles.ts";

/** All records of one state. A record is never changed in place, and is copied on its way in and out. */
export interface MemoryContent {
  meta: Meta;
  readonly receipts: Map<string, Receipt>;
  readonly outbox: Map<RunId, StoredOutbox>;
  readonly transcripts: Map<RunId, Transcript>;
  readonly nonces: Set<string>;
  readonly quarantine: Map<string, QuarantineEntry>;
  readonly troubles: Map<string, Trouble>;
  readonly versions: Map<string, number>;
  readonly series: Map<string, number>;
}

export function newContent(nowMs: number): MemoryContent {
  return {
    meta: newMeta(nowMs),
    receipts: new Map(),
    outbox: new Map(),
    transcripts: new Map(),
    nonces: new Set(),
    quarantine: new Map(),
    troubles: new Map(),
    versions: new Map(),
    series: new Map(),
  };
}

export function copyOfContent(content: MemoryContent): MemoryContent {
  return {
    meta: content.meta,
    receipts: new Map(content.receipts),
    outbox: new Map(content.outbox),
    transcripts: new Map(content.transcripts),
    nonces: new Set(content.nonces),
    quarantine: new Map(content.quarantine),
    troubles: new Map(content.troubles),
    versions: new Map(content.versions),
    series: new Map(content.series),
  };
}

interface Disk {
  readonly content: MemoryContent;
  /** Remembers what is durable, before something relaxed comes on top of it. */
  keepDurable(): void;
  /** All there is is durable now. */
  sync(): void;
}

/** Steps look before they write and are never interleaved, so nothing has to be rolled back here. */
export class MemoryRecords implements Records {
  readonly #disk: Disk;
  #dirty = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  get dirty(): boolean {
    return this.#dirty;
  }

  read<T>(step: () => T): T {
    return step();
  }

  write<T>(step: () => T, commit: Commit): T {
    this.#dirty = false;
    if (commit === "relaxed") this.#disk.keepDurable();
    const answer = step();
    if (commit === "durable" && this.#dirty) this.#disk.sync();
    return answer;
  }

  async settled(): Promise<void> {}

  async sync(): Promise<void> {
    this.#disk.sync();
  }

  close(): void {}

  meta(): Meta {
    return this.#content.meta;
  }

  putMeta(meta: Meta): void {
    this.#changed().meta = meta;
  }

  raiseClock(nowMs: number): void {
    const { meta } = this.#content;
    if (nowMs > meta.highestClockMs) this.putMeta({ ...meta, highestClockMs: nowMs });
  }

  receipt(ref: RunRef): Receipt | undefined {
    return structuredClone(this.#content.receipts.get(receiptKey(ref)));
  }

  receiptOfCancel({ from, runId, digest16 }: CancelTarget): Receipt | undefined {
    const found = this.#receiptsOfRun(from, runId);
    return structuredClone(
      found.find(({ requestDigest }) => matchesDigest16(digest16, requestDigest)),
    );
  }

  isBlocked({ from, runId, requestDigest }: RunRef): boolean {
    return this.#receiptsOfRun(from, runId).some(
      (other) => other.requestDigest !== requestDigest && standsInTheWay(other),
    );
  }

  admittedReceipt(from: GatewayName, runId: RunId): Pick<Receipt, "tenant"> | undefined {
    const found = this.#receiptsOfRun(from, runId).find(({ admitted }) => admitted);
    return found && { tenant: found.tenant };
  }

  receipts(limit: number): Receipt[] {
    const all = this.#receipts(() => true).toSorted((a, b) => byReceived(b, a));
    return structuredClone(all.slice(0, limit));
  }

  receiptsNamed(runId: RunId): Receipt[] {
    const found = this.#receipts((receipt) => receipt.runId === runId);
    return structuredClone(found.toSorted(byReceived));
  }

  receiptRefs({ are, limit }: RefFilter): RunRef[] {
    const isSought = are === "open" ? isOpen : isUnacknowledged;
    return this.#receipts(isSought).toSorted(byReceived).slice(0, limit).map(refOf);
  }

  openWorkers(): Set<WorkerId> {
    return new Set(this.#receipts(isOpen).map((receipt) => receipt.worker));
  }

  receivedOverview(): ReceivedOverview {
    return receivedOverviewOf(this.#receipts(() => true));
  }

  peerWork(from: GatewayName, runId: RunId, afterMs: number): PeerWork {
    const all = this.#receipts((receipt) => receipt.from === from);
    const isOtherRun = (receipt: Receipt): boolean =>
      receipt.runId !== runId && isOpen(receipt) && receipt.kind !== "approvalGrant";
    return {
      openRuns: all.filter(isOtherRun).length,
      receivedLastMinute: all.filter((receipt) => receipt.receivedMs > afterMs).length,
    };
  }

  isContinued(from: GatewayName, runId: RunId): boolean {
    const names = this.#receipts(
      (receipt) => isOpen(receipt) && receipt.from === from && receipt.continues === runId,
    );
    return names.length > 0;
  }

  oldReceipts(nowMs: number, retention: Retention): OldReceipt[] {
    const old = this.#receipts(() => true).flatMap((receipt) => {
      const { ended, exp, admitted } = receipt;
      if (ended === null || !ended.acknowledged) return [];
      const untilMs = keptUntilMs(ended.atMs, exp, retention);
      return untilMs < nowMs ? [{ untilMs, receipt: { ...refOf(receipt), admitted } }] : [];
    });
    old.sort((a, b) => a.untilMs - b.untilMs || byRef(a.receipt, b.receipt));
    return old.map(({ receipt }) => receipt);
  }

  putReceipt(receipt: Receipt): void {
    this.#changed().receipts.set(receiptKey(receipt), structuredClone(receipt));
  }

  dateReceiptsUntil(nowMs: number): void {
    const { receipts } = this.#changed();
    for (const [key, receipt] of receipts)
      if (receipt.receivedMs > nowMs) receipts.set(key, { ...receipt, receivedMs: nowMs });
  }

  deleteReceipt(ref: RunRef): void {
    this.#changed().receipts.delete(receiptKey(ref));
  }

  outbox(runId: RunId): StoredOutbox | undefined {
    return structuredClone(this.#content.outbox.get(runId));
  }

  outboxRecords(limit: number): OutboxRecord[] {
    const all = this.#outboxRecords().toSorted((a, b) => byOpened(b, a));
    return structuredClone(all.slice(0, limit));
  }

  askedRuns(limit: number): AskedRun[] {
    const unclosed = this.#outboxRecords().toSorted(bySent).flatMap(askedRunOf);
    return unclosed.slice(0, limit);
  }

  askedOverview(): AskedOverview {
    return askedOverviewOf(this.#outboxRecords());
  }

  oldOutbox(nowMs: number, retention: Retention, limit: number): RunId[] {
    const old = [...this.#content.outbox.values()].flatMap(({ record, settledMs }) => {
      if (settledMs === null) return [];
      const untilMs = keptUntilMs(settledMs, record.exp, retention);
      return untilMs < nowMs ? [{ untilMs, runId: record.runId }] : [];
    });
    old.sort((a, b) => a.untilMs - b.untilMs || compare(a.runId, b.runId));
    return old.slice(0, Math.max(0, limit)).map(({ runId }) => runId);
  }

  putOutbox(stored: StoredOutbox): void {
    this.#changed().outbox.set(stored.record.runId, structuredClone(stored));
  }

  transcript(runId: RunId): Transcript | undefined {
    return structuredClone(this.#content.transcripts.get(runId));
  }

  putTranscript(transcript: Transcript): void {
    this.#changed().transcripts.set(transcript.runId, structuredClone(transcript));
  }

  deleteOutbox(runId: RunId): void {
    this.#changed().outbox.delete(runId);
    this.#content.transcripts.delete(runId);
  }

  hasNonce(nonce: string): boolean {
    return this.#content.nonces.has(nonce);
  }

  putNonce(nonce: string): void {
    this.#changed().nonces.add(nonce);
  }

  deleteNonces(): void {
    this.#changed().nonces.clear();
  }

  quarantined({ limit, bucket }: QuarantineFilter): QuarantineEntry[] {
    const found = this.#quarantine((entry) => bucket === undefined || entry.bucket === bucket);
    return structuredClone(found.slice(0, limit));
  }

  releasedQuarantine(limit: number): QuarantineRef[] {
    const found = this.#quarantine(({ released }) => released);
    return found.slice(0, limit).map(({ id, key, size }) => ({ id, key, size }));
  }

  quarantinedEntry(id: string): QuarantineEntry | undefined {
    return structuredClone(this.#content.quarantine.get(id));
  }

  quarantineHeld(bucket: string): QuarantineHeld {
    const held = [...this.#content.quarantine.values()].filter((entry) => entry.bucket === bucket);
    return {
      entries: held.length,
      bytes: held.reduce((sum, entry) => sum + (entry.bytes?.length ?? 0), 0),
    };
  }

  bucketOverviews(): BucketOverview[] {
    return bucketOverviewsOf([...this.#content.quarantine.values()]);
  }

  oldQuarantine(beforeMs: number, limit: number): string[] {
    const old = [...this.#content.quarantine.values()].filter((entry) => entry.atMs < beforeMs);
    old.sort((a, b) => a.atMs - b.atMs || compare(a.id, b.id));
    return old.slice(0, limit).map((entry) => entry.id);
  }

  putQuarantine(entry: QuarantineEntry): void {
    this.#changed().quarantine.set(entry.id, structuredClone(entry));
  }

  deleteQuarantine(id: string): void {
    this.#changed().quarantine.delete(id);
  }

  trouble(subject: string): Trouble | undefined {
    return structuredClone(this.#content.troubles.get(subject));
  }

  troubles(): Trouble[] {
    const all = [...this.#content.troubles.values()];
    all.sort((a, b) => b.atMs - a.atMs || compare(a.subject, b.subject));
    return structuredClone(all);
  }

  troubleCount(): number {
    return this.#content.troubles.size;
  }

  oldTroubles(beforeMs: number, limit: number): string[] {
    const old = [...this.#content.troubles.values()].filter(({ atMs }) => atMs < beforeMs);
    old.sort((a, b) => a.atMs - b.atMs || compare(a.subject, b.subject));
    return old.slice(0, Math.max(0, limit)).map(({ subject }) => subject);
  }

  putTrouble(trouble: Trouble): void {
    this.#changed().troubles.set(trouble.subject, structuredClone(trouble));
  }

  deleteTrouble(subject: string): void {
    this.#changed().troubles.delete(subject);
  }

  version(document: string): number | undefined {
    return this.#content.versions.get(document);
  }

  putVersion(document: string, version: number): void {
    this.#changed().versions.set(document, version);
  }

  lastNumber(series: string): number | undefined {
    return this.#content.series.get(series);
  }

  putLastNumber(series: string, last: number): void {
    this.#changed().series.set(series, last);
  }

  get #content(): MemoryContent {
    return this.#disk.content;
  }

  #changed(): MemoryContent {
    this.#dirty = true;
    return this.#content;
  }

  #receiptsOfRun(from: GatewayName, runId: RunId): Receipt[] {
    const found = this.#receipts((receipt) => receipt.from === from && receipt.runId === runId);
    return found.toSorted(byRef);
  }

  #receipts(accept: (receipt: Receipt) => boolean): Receipt[] {
    return [...this.#content.receipts.values()].filter(accept);
  }

  /** The latest first. */
  #quarantine(accept: (entry: QuarantineEntry) => boolean): QuarantineEntry[] {
    const found = [...this.#content.quarantine.values()].filter(accept);
    return found.toSorted((a, b) => b.atMs - a.atMs || compare(a.id, b.id));
  }

  #outboxRecords(): OutboxRecord[] {
    return [...this.#content.outbox.values()].map(({ record }) => record);
  }
}

function isOpen(receipt: Receipt): boolean {
  return receipt.ended === null;
}

function isUnacknowledged(receipt: Receipt): boolean {
  return receipt.ended?.acknowledged === false;
}

function refOf({ from, runId, requestDigest }: RunRef): RunRef {
  return { from, runId, requestDigest };
}

function askedRunOf({ runId, state }: OutboxRecord): AskedRun[] {
  return state === "closed" ? [] : [{ runId, state }];
}

function byReceived(a: Receipt, b: Receipt): number {
  return (
    a.receivedMs - b.receivedMs ||
    compare(a.runId, b.runId) ||
    compare(a.requestDigest, b.requestDigest) ||
    compare(a.from, b.from)
  );
}

function byOpened(a: OutboxRecord, b: OutboxRecord): number {
  return a.openedMs - b.openedMs || compare(a.runId, b.runId);
}

/** What was never sent comes first. */
function bySent(a: OutboxRecord, b: OutboxRecord): number {
  return compare(a.state, b.state) || (a.sentMs ?? -1) - (b.sentMs ?? -1) || byOpened(a, b);
}

function byRef(a: RunRef, b: RunRef): number {
  return (
    compare(a.from, b.from) ||
    compare(a.runId, b.runId) ||
    compare(a.requestDigest, b.requestDigest)
  );
}

function receiptKey({ from, runId, requestDigest }: RunRef): string {
  return `${from}/${runId}/${requestDigest}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
