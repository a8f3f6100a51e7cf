import { limits } from "../../src/base/limits.ts";
import type { Work } from "../../src/handlers/handler.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { digest16Of } from "../../src/protocol/object-key.ts";
import { placeOf, type Ledger } from "./ledger.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";

/** The most starts that an agent may have for one run: more only where its route says `retry`. */
const mostStarts = { report: 1, retry: limits.maxStarts } as const;

/** Promises 1 and 3, at the moment at which a handler begins. */
export class StartChecks {
  readonly #ledger: Ledger;
  readonly #everStarted = new Set<string>();
  /** Handlers that have begun and not come back, by run. */
  readonly #active = new Map<string, Set<Life>>();

  /**
   * Runs that were open in a state when it was recovered, each with the attempt that was running then, 0 for none:
   * nobody knows what has become of them.
   */
  readonly #unknown = new Map<Machine, Map<string, number>>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  recovered(machine: Machine): void {
    const unknown = this.#unknown.get(machine) ?? new Map<string, number>();
    for (const receipt of machine.disk.content.receipts.values()) {
      const { runId, requestDigest, state, attempt } = receipt;
      if (state === "ended") continue;
      const place = placeOf({ runId, digest16: digest16Of(requestDigest) });
      unknown.set(place, state === "running" ? attempt : 0);
    }
    this.#unknown.set(machine, unknown);
  }

  /** Call what it returns when the handler comes back. */
  started(machine: Machine, life: Life, work: Work, onCrash: keyof typeof mostStarts): () => void {
    this.#count(work, onCrash);
    this.#checkAsked(work);
    this.#checkAlone(life, work);
    const receipt = this.#receiptOf(machine, life, work);
    if (receipt !== undefined) this.#checkReceipt(machine, receipt);
    // Who stood still between the commit and the start may have been given up: its end says that it was started.
    else if (!life.wasPaused)
      this.#ledger.violate("promise 1", `${life.name} runs ${work.runId}, which it does not hold`);
    const active = this.#active.get(work.runId) ?? new Set();
    this.#active.set(work.runId, active.add(life));
    return () => void active.delete(life);
  }

  #count({ runId }: Work, onCrash: keyof typeof mostStarts): void {
    const { counts, starts } = this.#ledger;
    counts.starts += 1;
    if (!starts.has(runId) && this.#everStarted.has(runId))
      this.#ledger.violate("promise 1", `${runId} was run again when it had been forgotten`);
    this.#everStarted.add(runId);
    const times = (starts.get(runId) ?? 0) + 1;
    starts.set(runId, times);
    if (times > mostStarts[onCrash])
      this.#ledger.violate("promise 1", `run ${runId} (${onCrash}) was started ${times} times`);
  }

  #checkAsked({ runId, request }: Work): void {
    const { body } = request;
    const text = body.kind === "prompt" ? body.prompt.text : body.kind;
    if (this.#ledger.asked.get(runId)?.has(text) === true) return;
    this.#ledger.violate(
      "promise 3",
      `a handler was given ${JSON.stringify(text)}, which nobody asked as ${runId}`,
    );
  }

  #checkAlone(life: Life, { runId }: Work): void {
    for (const other of this.#active.get(runId) ?? [])
      if (other.alive && other !== life)
        this.#ledger.violate(
          "promise 1",
          `${life.name} runs ${runId}, which ${other.name} still runs`,
        );
  }

  #receiptOf({ disk }: Machine, life: Life, work: Work): Receipt | undefined {
    const worker = this.#ledger.workerOf(life);
    return [...disk.content.receipts.values()].find(
      (receipt) =>
        receipt.runId === work.runId &&
        receipt.state === "running" &&
        receipt.attempt === work.attempt &&
        receipt.worker === worker,
    );
  }

  #checkReceipt(machine: Machine, receipt: Receipt): void {
    const { runId, requestDigest, attempt } = receipt;
    const durable = [...machine.disk.durable.receipts.values()].find(
      (other) => other.runId === runId && other.requestDigest === requestDigest,
    );
    if (durable?.state !== "running" || durable.attempt !== attempt)
      this.#ledger.violate("promise 1", `the start of ${runId} could be lost with the power`);
    const place = placeOf({ runId, digest16: digest16Of(requestDigest) });
    if ((this.#unknown.get(machine)?.get(place) ?? attempt) !== attempt)
      this.#ledger.violate("promise 1", `${runId} was open when the state was recovered`);
    if (this.#ledger.published.has(place) && !machine.stateWasLost)
      this.#ledger.violate("promise 2", `${runId} was started after its end was published`);
  }
}
