import type { GatewayName, RunId, WorkerId } from "../../src/base/names.ts";
import { digest16Of, type FramesName } from "../../src/protocol/object-key.ts";
import type { MemoryContent } from "../../src/state/memory/content.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

export interface Counts {
  starts: number;
  terminals: number;
  closed: number;
  conflicts: number;
}

/** What the checks know together: who there is, what was asked, and what was published. */
export class Ledger {
  readonly world: World;
  readonly machines = new Map<string, Machine>();
  readonly counts: Counts = { starts: 0, terminals: 0, closed: 0, conflicts: 0 };
  /** What callers asked under each run, all bodies ever signed for it. */
  readonly asked = new Map<RunId, Set<string>>();
  /** How often a handler was started for each run whose receipt is still kept. */
  readonly starts = new Map<RunId, number>();
  /** All ends that were ever published, by run and request. */
  readonly published = new Map<string, Set<string>>();
  /** Runs of which an ended receipt, or a transcript, was collected, by machine. */
  readonly collected = new Set<string>();
  /** Since when cancels lie there, by key. */
  readonly cancels = new Map<string, number>();
  readonly #workers = new Map<WorkerId, { readonly machine: Machine; readonly life: Life }>();
  readonly #workerOf = new Map<Life, WorkerId>();

  constructor(world: World) {
    this.world = world;
  }

  born(machine: Machine, worker: WorkerId, life: Life): void {
    this.#workers.set(worker, { machine, life });
    this.#workerOf.set(life, worker);
  }

  workerOf(life: Life): WorkerId | undefined {
    return this.#workerOf.get(life);
  }

  processOf(worker: WorkerId): { readonly machine: Machine; readonly life: Life } | undefined {
    return this.#workers.get(worker);
  }

  homesOf(name: GatewayName): Machine[] {
    return [...this.machines.values()].filter((machine) => machine.name === name);
  }

  violate(promise: string, what: string): void {
    this.world.violate(promise, what);
  }
}

/** The receipt that frames answer, in one state. */
export function receiptAnsweredBy(
  { receipts }: MemoryContent,
  { runId, to, digest16 }: FramesName,
): Receipt | undefined {
  return [...receipts.values()].find(
    (receipt) =>
      receipt.runId === runId &&
      receipt.from === to &&
      digest16Of(receipt.requestDigest) === digest16,
  );
}

export function placeOf({ runId, digest16 }: Pick<FramesName, "runId" | "digest16">): string {
  return `${runId}/${digest16}`;
}
