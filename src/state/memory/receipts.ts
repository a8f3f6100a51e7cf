import type { GatewayName, RunId, WorkerId } from "../../base/names.ts";
import { matchesDigest16 } from "../../protocol/object-key.ts";
import type { Receipt, RunRef } from "../../protocol/receipt.ts";
import type { OldReceipt, PeerWork, Receipts } from "../records.ts";
import { keptUntilMs, type Retention } from "../retention.ts";
import { standsInTheWay } from "../rules.ts";
import type { CancelTarget, ReceivedOverview, RefFilter } from "../state.ts";
import type { OpenDisk } from "./content.ts";
import { compare, earliest } from "./order.ts";

/** Receipts in a map, by what names them. */
export class MemoryReceipts implements Receipts {
  readonly #disk: OpenDisk;

  constructor(disk: OpenDisk) {
    this.#disk = disk;
  }

  get(ref: RunRef): Receipt | undefined {
    return structuredClone(this.#disk.content.receipts.get(receiptKey(ref)));
  }

  ofCancel({ from, runId, digest16 }: CancelTarget): Receipt | undefined {
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

  admitted(from: GatewayName, runId: RunId): Pick<Receipt, "tenant"> | undefined {
    const found = this.#receiptsOfRun(from, runId).find(({ admitted }) => admitted);
    return found && { tenant: found.tenant };
  }

  latest(limit: number): Receipt[] {
    const all = this.#receipts(() => true).toSorted((a, b) => byReceived(b, a));
    return structuredClone(all.slice(0, limit));
  }

  named(runId: RunId): Receipt[] {
    const found = this.#receipts((receipt) => receipt.runId === runId);
    return structuredClone(found.toSorted(byReceived));
  }

  refs({ are, limit }: RefFilter): RunRef[] {
    const isSought = are === "open" ? isOpen : isUnacknowledged;
    return this.#receipts(isSought).toSorted(byReceived).slice(0, limit).map(refOf);
  }

  openWorkers(): Set<WorkerId> {
    return new Set(this.#receipts(isOpen).map((receipt) => receipt.worker));
  }

  overview(): ReceivedOverview {
    const receipts = this.#receipts(() => true);
    const inState = (state: Receipt["state"]): Receipt[] =>
      receipts.filter((receipt) => receipt.state === state);
    const [admitted, running, ended] = [inState("admitted"), inState("running"), inState("ended")];
    return {
      admitted: admitted.length,
      running: running.length,
      ended: ended.length,
      unpublished: ended.filter((receipt) => receipt.ended?.acknowledged === false).length,
      oldestOpenMs: earliest([...admitted, ...running].map(({ receivedMs }) => receivedMs)),
    };
  }

  peerWork(from: GatewayName, runId: RunId, afterMs: number): PeerWork {
    const all = this.#receipts((receipt) => receipt.from === from);
    const isOtherRun = (receipt: Receipt): boolean =>
      receipt.runId !== runId && isOpen(receipt) && receipt.kind !== "approvalGrant";
    return {
      openRuns: all.filter(isOtherRun).length,
      receivedLastMinute: all.filter((receipt) => receipt.receivedMs > afterMs).length,
      unpublished: all.filter(isUnacknowledged).length,
    };
  }

  isContinued(from: GatewayName, runId: RunId): boolean {
    const names = this.#receipts(
      (receipt) => isOpen(receipt) && receipt.from === from && receipt.continues === runId,
    );
    return names.length > 0;
  }

  old(nowMs: number, retention: Retention): OldReceipt[] {
    const old = this.#receipts(() => true).flatMap((receipt) => {
      const { ended, exp, admitted } = receipt;
      if (ended === null || !ended.acknowledged) return [];
      const untilMs = keptUntilMs(ended.atMs, exp, retention);
      return untilMs < nowMs ? [{ untilMs, receipt: { ...refOf(receipt), admitted } }] : [];
    });
    old.sort((a, b) => a.untilMs - b.untilMs || byRef(a.receipt, b.receipt));
    return old.map(({ receipt }) => receipt);
  }

  put(receipt: Receipt): void {
    this.#disk.changed().receipts.set(receiptKey(receipt), structuredClone(receipt));
  }

  dateUntil(nowMs: number): void {
    const { receipts } = this.#disk.changed();
    for (const [key, receipt] of receipts) {
      const { receivedMs, ended } = receipt;
      if (Math.max(receivedMs, ended?.atMs ?? 0) <= nowMs) continue;
      receipts.set(key, {
        ...receipt,
        receivedMs: Math.min(receivedMs, nowMs),
        ended: ended && { ...ended, atMs: Math.min(ended.atMs, nowMs) },
      });
    }
  }

  delete(ref: RunRef): void {
    this.#disk.changed().receipts.delete(receiptKey(ref));
  }

  #receiptsOfRun(from: GatewayName, runId: RunId): Receipt[] {
    const found = this.#receipts((receipt) => receipt.from === from && receipt.runId === runId);
    return found.toSorted(byRef);
  }

  #receipts(accept: (receipt: Receipt) => boolean): Receipt[] {
    return [...this.#disk.content.receipts.values()].filter(accept);
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

function byReceived(a: Receipt, b: Receipt): number {
  return (
    a.receivedMs - b.receivedMs ||
    compare(a.runId, b.runId) ||
    compare(a.requestDigest, b.requestDigest) ||
    compare(a.from, b.from)
  );
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
