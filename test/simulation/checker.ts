import type { RunId, WorkerId } from "../../src/base/names.ts";
import type { Work } from "../../src/handlers/handler.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import type { MemoryContent } from "../../src/state/memory/content.ts";
import { AnswerChecks } from "./check-answers.ts";
import { OwnerChecks } from "./check-owners.ts";
import { leftUndone, type Quiet } from "./check-quiet.ts";
import { StartChecks } from "./check-starts.ts";
import { StateChecks } from "./check-states.ts";
import { StoreChecks } from "./check-store.ts";
import { Ledger, type Counts } from "./ledger.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import type { BucketWatch, User } from "./sim-store.ts";
import type { Weather } from "./weather.ts";
import type { World } from "./world.ts";

/**
 * Watches everything from outside and holds it against the six promises of SPEC.md, after each step. It believes
 * nobody's state but compares states, bucket, handlers and readers with each other.
 */
export class Checker implements BucketWatch {
  readonly #ledger: Ledger;
  readonly #owners: OwnerChecks;
  readonly #starts: StartChecks;
  readonly #states: StateChecks;
  readonly #store: StoreChecks;
  readonly #answers: AnswerChecks;

  constructor(world: World, weather: Weather) {
    this.#ledger = new Ledger(world);
    this.#owners = new OwnerChecks(this.#ledger);
    this.#starts = new StartChecks(this.#ledger);
    this.#states = new StateChecks(this.#ledger, this.#owners, weather);
    this.#store = new StoreChecks(this.#ledger, this.#owners, weather);
    this.#answers = new AnswerChecks(this.#ledger);
  }

  get counts(): Readonly<Counts> {
    return this.#ledger.counts;
  }

  watch(machine: Machine): void {
    this.#ledger.machines.set(machine.label, machine);
    this.putBack(machine);
  }

  born(machine: Machine, worker: WorkerId, life: Life): void {
    this.#ledger.born(machine, worker, life);
  }

  asked(runId: RunId, text: string): void {
    const texts = this.#ledger.asked.get(runId) ?? new Set();
    this.#ledger.asked.set(runId, texts.add(text));
  }

  /** A handler begins; call what is returned when it comes back. */
  started(machine: Machine, life: Life, work: Work, onCrash: "report" | "retry"): () => void {
    return this.#starts.started(machine, life, work, onCrash);
  }

  emitted(work: Work, text: string): void {
    this.#answers.emitted(work, text);
  }

  yielded(runId: RunId, frames: readonly PlacedFrame[]): void {
    this.#answers.yielded(runId, frames);
  }

  told(machine: Machine, runId: RunId, terminal: TerminalPayload): void {
    this.#answers.told(machine, runId, terminal);
  }

  /** A process has changed the state, visibly to all processes of its machine: answers with what is new of runs. */
  committed(machine: Machine, life: Life): readonly Receipt[] {
    return this.#states.committed(machine, life);
  }

  /** What the state had not made durable is gone, by no process's doing. */
  rewound(machine: Machine): void {
    this.#states.rewound(machine);
  }

  /** The state is a copy, or an earlier one. */
  putBack(machine: Machine): void {
    this.#states.rewound(machine);
    this.#owners.knows(machine, machine.disk.content.meta.generation);
  }

  recovered(machine: Machine): void {
    this.#owners.recovered(machine);
    this.#starts.recovered(machine);
  }

  /** Whether a state with this content finds out that another one has claimed the machine's name. */
  findsOut(machine: Machine, content: MemoryContent): boolean {
    return this.#owners.findsOut(machine, content);
  }

  onTry(key: string, bytes: Uint8Array, by: User): void {
    this.#store.onTry(key, bytes, by);
  }

  onPut(key: string, bytes: Uint8Array, by: User): void {
    this.#store.onPut(key, bytes, by);
  }

  onRead(key: string, bytes: Uint8Array, by: User): void {
    this.#store.onRead(key, bytes, by);
  }

  readBy(key: string, by: User): Uint8Array | undefined {
    return this.#store.readBy(key, by);
  }

  onDelete(key: string, by: User, read: Uint8Array | undefined): void {
    this.#store.onDelete(key, by, read);
  }

  isQuiet(quiet: Quiet): boolean {
    return leftUndone(this.#ledger, this.#owners, { ...quiet, mayWait: true }).length === 0;
  }

  checkQuiet(quiet: Quiet): void {
    for (const what of leftUndone(this.#ledger, this.#owners, quiet))
      this.#ledger.violate("promise 2", what);
  }
}
