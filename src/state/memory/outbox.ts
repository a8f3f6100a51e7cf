import type { RunId } from "../../base/names.ts";
import type {
  AskedOverview,
  AskedRun,
  Outbox,
  OutboxRecord,
  StoredOutbox,
  Transcript,
} from "../outbox.ts";
import { keptUntilMs, type Retention } from "../retention.ts";
import type { OpenDisk } from "./content.ts";
import { compare, earliest } from "./order.ts";

/** Outbox records and transcripts in two maps, by run. */
export class MemoryOutbox implements Outbox {
  readonly #disk: OpenDisk;

  constructor(disk: OpenDisk) {
    this.#disk = disk;
  }

  get(runId: RunId): StoredOutbox | undefined {
    return structuredClone(this.#disk.content.outbox.get(runId));
  }

  latest(limit: number): OutboxRecord[] {
    const all = this.#records().toSorted((a, b) => byOpened(b, a));
    return structuredClone(all.slice(0, limit));
  }

  asked(limit: number): AskedRun[] {
    const unclosed = this.#records().toSorted(bySent).flatMap(askedRunOf);
    return unclosed.slice(0, limit);
  }

  overview(): AskedOverview {
    const records = this.#records();
    const inState = (state: OutboxRecord["state"]): OutboxRecord[] =>
      records.filter((record) => record.state === state);
    const open = inState("open");
    return {
      open: open.length,
      unknown: inState("unknown").length,
      closed: inState("closed").length,
      oldestOpenMs: earliest(open.map(({ openedMs }) => openedMs)),
    };
  }

  old(nowMs: number, retention: Retention, limit: number): RunId[] {
    const old = [...this.#disk.content.outbox.values()].flatMap(({ record, settledMs }) => {
      if (settledMs === null) return [];
      const untilMs = keptUntilMs(settledMs, record.exp, retention);
      return untilMs < nowMs ? [{ untilMs, runId: record.runId }] : [];
    });
    old.sort((a, b) => a.untilMs - b.untilMs || compare(a.runId, b.runId));
    return old.slice(0, Math.max(0, limit)).map(({ runId }) => runId);
  }

  put(stored: StoredOutbox): void {
    this.#disk.changed().outbox.set(stored.record.runId, structuredClone(stored));
  }

  transcript(runId: RunId): Transcript | undefined {
    return structuredClone(this.#disk.content.transcripts.get(runId));
  }

  putTranscript(transcript: Transcript): void {
    this.#disk.changed().transcripts.set(transcript.runId, structuredClone(transcript));
  }

  dateUntil(nowMs: number): void {
    const { outbox } = this.#disk.changed();
    for (const [runId, stored] of outbox)
      if (Math.max(stored.record.sentMs ?? 0, stored.settledMs ?? 0) > nowMs)
        outbox.set(runId, datedUntil(stored, nowMs));
  }

  delete(runId: RunId): void {
    this.#disk.changed().outbox.delete(runId);
    this.#disk.content.transcripts.delete(runId);
  }

  #records(): OutboxRecord[] {
    return [...this.#disk.content.outbox.values()].map(({ record }) => record);
  }
}

function datedUntil({ record, settledMs }: StoredOutbox, nowMs: number): StoredOutbox {
  const { sentMs, state } = record;
  const sent = { ...record, sentMs: sentMs === null ? null : Math.min(sentMs, nowMs) };
  if (settledMs === null || settledMs <= nowMs) return { record: sent, settledMs };
  if (state === "unknown") return { record: { ...sent, state: "open" }, settledMs: null };
  return { record: sent, settledMs: nowMs };
}

function askedRunOf({ runId, state }: OutboxRecord): AskedRun[] {
  return state === "closed" ? [] : [{ runId, state }];
}

function byOpened(a: OutboxRecord, b: OutboxRecord): number {
  return a.openedMs - b.openedMs || compare(a.runId, b.runId);
}

/** What was never sent comes first. */
function bySent(a: OutboxRecord, b: OutboxRecord): number {
  return compare(a.state, b.state) || (a.sentMs ?? -1) - (b.sentMs ?? -1) || byOpened(a, b);
}
