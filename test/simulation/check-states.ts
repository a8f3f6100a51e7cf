import { limits } from "../../src/base/limits.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import type { StoredOutbox } from "../../src/state/outbox.ts";
import type { QuarantineEntry } from "../../src/state/quarantine.ts";
import { keptUntilMs } from "../../src/state/retention.ts";
import { AdmissionChecks } from "./check-admission.ts";
import type { Weather } from "./weather.ts";
import type { Ledger } from "./ledger.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import type { OwnerChecks } from "./check-owners.ts";

/** The records as they were when they were last looked at. Records are never changed in place. */
interface Seen {
  readonly receipts: Map<string, Receipt>;
  readonly outbox: Map<string, StoredOutbox>;
  readonly quarantine: Map<string, QuarantineEntry>;
}

const retention = { skewMs: limits.skewMs, retentionMs: limits.retentionMs };

/** Looks at what each commit changed, and at who changed it. */
export class StateChecks {
  readonly #ledger: Ledger;
  readonly #owners: OwnerChecks;
  readonly #admissions: AdmissionChecks;
  readonly #seen = new Map<string, Seen>();

  constructor(ledger: Ledger, owners: OwnerChecks, weather: Weather) {
    this.#ledger = ledger;
    this.#owners = owners;
    this.#admissions = new AdmissionChecks(ledger, weather);
  }

  /** What the machine's power, or its operator, changed is nobody's commit. */
  rewound(machine: Machine): void {
    const { receipts, outbox, quarantine } = machine.disk.content;
    this.#seen.set(machine.label, {
      receipts: new Map(receipts),
      outbox: new Map(outbox),
      quarantine: new Map(quarantine),
    });
  }

  /** Answers with the receipts that were written. */
  committed(machine: Machine, life: Life): readonly Receipt[] {
    const written: Receipt[] = [];
    const seen = this.#seen.get(machine.label);
    if (seen === undefined) return written;
    const { receipts, outbox, quarantine } = machine.disk.content;
    changes(seen.receipts, receipts, (before, now) => {
      this.#receipt(machine, life, before, now);
      if (now !== undefined) written.push(now);
    });
    changes(seen.outbox, outbox, (before, now) => this.#outbox(machine, life, before, now));
    changes(seen.quarantine, quarantine, (before, now) =>
      this.#quarantine(machine, life, before, now),
    );
    return written;
  }

  #receipt(
    machine: Machine,
    life: Life,
    before: Receipt | undefined,
    now: Receipt | undefined,
  ): void {
    if (now === undefined) {
      if (before !== undefined) this.#receiptGoes(machine, life, before);
      return;
    }
    if (machine.world.traced) machine.world.tell(life.name, `commits: ${told(now)}`);
    if (before === undefined || isMove(before, now)) this.#owners.checkServes(machine, life, now);
    if (before === undefined) return this.#admissions.decided(machine, life, now);
    this.#checkOutcome(before, now);
    this.#checkLease(machine, life, before);
    if (now.state === "running" && before.state !== "running") this.#checkStart(machine, now);
  }

  #receiptGoes(machine: Machine, life: Life, receipt: Receipt): void {
    const { ended, exp, runId } = receipt;
    this.#ledger.collected.add(`${machine.label}/${runId}`);
    if (receipt.admitted) this.#ledger.starts.delete(runId);
    const isOver =
      ended?.acknowledged === true && keptUntilMs(ended.atMs, exp, retention) < life.clock.now();
    if (!isOver)
      this.#ledger.violate(
        "promise 4",
        `${life.name} collected ${told(receipt)}, which counts still`,
      );
  }

  /** What was committed of an outcome stays, and what has ended stays ended. */
  #checkOutcome(before: Receipt, now: Receipt): void {
    const [said, says] = [outcomeOf(before), outcomeOf(now)];
    const silenced = before.ended !== null && before.ended.terminal === null;
    const isOther = (silenced || said !== undefined) && said !== says;
    if (isOther || (before.ended !== null && now.ended === null))
      this.#ledger.violate("promise 2", `${now.runId} went from ${said} to ${says}`);
    const starts = now.starts - before.starts;
    if (now.attempt < before.attempt || starts < 0 || starts > 1)
      this.#ledger.violate("promise 2", `${now.runId} goes back, or over a start`);
    const status = now.ended?.terminal?.payload.status;
    const saysNever = status === "expired" || status === "refused";
    if (before.ended === null && now.starts > 0 && saysNever)
      this.#ledger.violate("promise 2", `${now.runId} ends ${status}, and was started`);
  }

  /** An open run is its worker's, unless that is gone, or hung, or of a state that was recovered since. */
  #checkLease(machine: Machine, life: Life, before: Receipt): void {
    if (before.ended !== null || before.worker === this.#ledger.workerOf(life)) return;
    const holder = this.#ledger.processOf(before.worker);
    if (holder === undefined || holder.machine !== machine || !holder.life.alive) return;
    if (before.receivedMs <= machine.disk.content.meta.bornMs) return;
    const { runningSinceMs, maxRunMs } = before;
    const lateMs = (runningSinceMs ?? Infinity) + maxRunMs + limits.maxRunGraceMs;
    // The look came before the commit, and the clock may have been set back between them.
    if (life.clock.now() + limits.skewMs > lateMs) return;
    this.#ledger.violate(
      "promise 1",
      `${life.name} took ${before.runId} from ${holder.life.name}, which is at work on it`,
    );
  }

  #checkStart(
    { trust }: Machine,
    { runId, from, kind, agent, exp, deadline, request, ...run }: Receipt,
  ): void {
    const { runningSinceMs, tenant } = run;
    const asked = {
      from,
      kind,
      agent,
      bytes: request.length,
      ...(tenant === null ? {} : { tenant }),
    };
    if (trust?.refusalOf(asked) !== undefined)
      this.#ledger.violate(
        "promise 3",
        `${runId} was started, though ${from} is granted it no more`,
      );
    const nowMs = runningSinceMs ?? Infinity;
    if (nowMs >= exp * 1000 + 2 * limits.skewMs)
      this.#ledger.violate("promise 1", `${runId} was started when it had long expired`);
    if (deadline !== null && nowMs >= deadline * 1000)
      this.#ledger.violate("promise 3", `${runId} was started after its deadline`);
  }

  #outbox(
    machine: Machine,
    life: Life,
    before: StoredOutbox | undefined,
    now: StoredOutbox | undefined,
  ): void {
    if (before === undefined) {
      if (machine.world.traced && now !== undefined)
        machine.world.tell(life.name, `commits the request ${now.record.runId} to its outbox`);
      return;
    }
    const { record, settledMs } = before;
    if (now === undefined) {
      this.#ledger.collected.add(`${machine.label}/${record.runId}`);
      const isOver =
        settledMs !== null && keptUntilMs(settledMs, record.exp, retention) < life.clock.now();
      if (!isOver)
        this.#ledger.violate("promise 2", `${life.name} forgot ${record.runId}, which it asked`);
      return;
    }
    if (now.record.state !== record.state && machine.world.traced)
      machine.world.tell(
        life.name,
        `commits: ${record.runId}, which it asked, is ${now.record.state}`,
      );
    const isSigned = now.record.requestDigest === record.requestDigest;
    if (!isSigned) this.#ledger.violate("promise 2", `${record.runId} was signed anew`);
    const stays = JSON.stringify(now.record.terminal) === JSON.stringify(record.terminal);
    if (record.state === "closed" && (now.record.state !== "closed" || !stays))
      this.#ledger.violate("promise 2", `${record.runId} was closed, and closed anew`);
  }

  #quarantine(
    machine: Machine,
    life: Life,
    before: QuarantineEntry | undefined,
    now: QuarantineEntry | undefined,
  ): void {
    const { quarantine, receipts } = machine.disk.content;
    if (now !== undefined) {
      if (before !== undefined) return;
      machine.world.tell(life.name, `keeps ${now.key} in quarantine: ${now.code}`);
      const held = [...quarantine.values()].filter(({ bucket }) => bucket === now.bucket);
      const bytes = held.reduce((sum, entry) => sum + (entry.bytes?.length ?? 0), 0);
      if (held.length > limits.quarantineEntriesPerPeer || bytes > limits.quarantineBytesPerPeer)
        this.#ledger.violate("promise 3", `${now.bucket} has more in quarantine than its budget`);
      return;
    }
    if (before?.bytes === null || before === undefined) return;
    const digest = requestDigestOf(before.bytes);
    const hasReceipt = [...receipts.values()].some(({ requestDigest }) => requestDigest === digest);
    const isOver = before.atMs + limits.retentionMs < life.clock.now();
    if (!hasReceipt && !isOver)
      this.#ledger.violate("promise 4", `${life.name} threw ${before.key} out of quarantine`);
  }
}

/** Calls back for each record that is not the same any more, and takes note of it. */
function changes<Key, Value>(
  seen: Map<Key, Value>,
  present: ReadonlyMap<Key, Value>,
  changed: (before: Value | undefined, now: Value | undefined) => void,
): void {
  for (const [key, now] of present) {
    const before = seen.get(key);
    if (before === now) continue;
    changed(before, now);
    seen.set(key, now);
  }
  if (seen.size === present.size) return;
  for (const [key, before] of seen) {
    if (present.has(key)) continue;
    changed(before, undefined);
    seen.delete(key);
  }
}

function outcomeOf({ outcome, ended }: Receipt): string | undefined {
  const payload = outcome ?? ended?.terminal?.payload;
  return payload === undefined ? undefined : JSON.stringify(payload);
}

/** An admission, a takeover, a start or an end: what only the state that serves a name may do. */
function isMove(before: Receipt, now: Receipt): boolean {
  return (
    before.state !== now.state || before.worker !== now.worker || before.attempt !== now.attempt
  );
}

function told({ runId, state, attempt, ended, worker }: Receipt): string {
  if (ended === null) return `${runId} is ${state}, attempt ${attempt}, by ${worker.slice(0, 4)}`;
  const { terminal, acknowledged } = ended;
  const how = terminal === null ? "without an answer" : terminal.payload.status;
  const code = terminal?.payload.error?.code;
  return `${runId} is ended ${how}${code === undefined ? "" : ` (${code})`}${acknowledged ? ", acknowledged" : ""}`;
}
