import type { Receipt } from "../../src/protocol/receipt.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import type { OwnerChecks } from "./check-owners.ts";
import type { Ledger } from "./ledger.ts";
import type { Machine } from "./machine.ts";

export interface Quiet {
  /** Whether the bucket hid or changed something: then an answer may be lost for good. */
  readonly bucketLied: boolean;
  /** Whether there is time to wait: who stands still may answer yet what lives for days. */
  readonly mayWait?: boolean;
}

const longLivedMs = 24 * 3_600_000;

/** What is left undone, as sentences: nothing, once faults have stopped and everybody polled (promises 2 and 6). */
export function leftUndone(ledger: Ledger, owners: OwnerChecks, quiet: Quiet): string[] {
  return [...ledger.machines.values()].flatMap((machine) => {
    // Of several homes of one name only the one that serves it comes to an end with everything.
    const isCopied = ledger.homesOf(machine.name).length > 1;
    if (isCopied && !owners.serves(machine)) return [];
    const { receipts, outbox } = machine.disk.content;
    const unanswered = [...receipts.values()].flatMap((receipt) =>
      receipt.ended?.acknowledged === true
        ? []
        : [`${machine.label} left ${receipt.runId} ${receipt.state} and unanswered`],
    );
    if (isCopied) return unanswered;
    return [
      ...unanswered,
      ...[...outbox.values()].flatMap(({ record }) => undoneOf(ledger, machine, record, quiet)),
    ];
  });
}

function undoneOf(
  ledger: Ledger,
  machine: Machine,
  record: OutboxRecord,
  { bucketLied, mayWait = false }: Quiet,
): string[] {
  const answer = answerOf(ledger, machine, record);
  if (record.state === "closed") {
    const same = answer === undefined || JSON.stringify(record.terminal) === answer;
    return same ? [] : [`${machine.label} closed ${record.runId} with another end`];
  }
  const excused = bucketLied || machine.stateWasLost;
  // Some live for days: they are waited for when everybody else has gone.
  const mayCome = (record.deadline ?? record.exp) * 1000 > machine.world.nowMs + longLivedMs;
  const isOpen = record.state === "open" && (mayWait || !mayCome);
  if (!isOpen && (answer === undefined || excused)) return [];
  return [`${machine.label} left ${record.runId} ${record.state}, answer ${answer ?? "none"}`];
}

/** The end that a callee's receipt holds for one request, if the callee can still be asked. */
function answerOf(ledger: Ledger, machine: Machine, record: OutboxRecord): string | undefined {
  const homes = ledger.homesOf(record.to);
  if (homes.some(({ stateWasLost }) => stateWasLost)) return undefined;
  const receipts = homes.flatMap(({ disk }): Receipt[] => [...disk.content.receipts.values()]);
  const receipt = receipts.find(
    (other) =>
      other.from === machine.name &&
      other.runId === record.runId &&
      other.requestDigest === record.requestDigest,
  );
  const payload = receipt?.ended?.terminal?.payload;
  return payload === undefined ? undefined : JSON.stringify(payload);
}
