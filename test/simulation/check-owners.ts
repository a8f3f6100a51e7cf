import { limits } from "../../src/base/limits.ts";
import type { OwnerPayload } from "../../src/protocol/owner.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import type { MemoryContent } from "../../src/state/memory/content.ts";
import type { Ledger } from "./ledger.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";

interface Claim {
  readonly by: string;
  readonly generation: number;
  readonly nonce: string;
  readonly atMs: number;
}

/** Which state serves a name, by the claims that stand in the bucket: of several, the last one to claim. */
export class OwnerChecks {
  readonly #ledger: Ledger;
  readonly #claims = new Map<string, Claim[]>();
  /** Up to which generation a state has nothing to fear: what it knew when it was copied, put back or recovered. */
  readonly #known = new Map<string, number>();
  /** States that were recovered and have not claimed their name since. */
  readonly #unclaimed = new Set<string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  claimed(machine: Machine, { generation, nonce }: OwnerPayload): void {
    const claims = this.#claims.get(machine.name) ?? [];
    claims.push({ by: stateOf(machine), generation, nonce, atMs: machine.world.nowMs });
    this.#claims.set(machine.name, claims);
    // One that was on its way when the state was recovered is no claim of the recovered state.
    if (machine.disk.content.nonces.has(nonce)) this.#unclaimed.delete(stateOf(machine));
  }

  knows(machine: Machine, generation: number): void {
    this.#known.set(stateOf(machine), generation);
  }

  /** A recovered state takes all claims that stand as past ones. */
  recovered(machine: Machine): void {
    this.knows(machine, this.highest(machine));
    this.#unclaimed.add(stateOf(machine));
  }

  highest({ name }: Machine): number {
    return Math.max(0, ...(this.#claims.get(name) ?? []).map(({ generation }) => generation));
  }

  /** Whether a state with these nonces finds out, at its next look, that another one has claimed the name. */
  findsOut(machine: Machine, { nonces }: Pick<MemoryContent, "nonces">): boolean {
    const highest = this.highest(machine);
    const last = this.#claims.get(machine.name)?.find(({ generation }) => generation === highest);
    return last !== undefined && !nonces.has(last.nonce);
  }

  /** Whether this state was the last to claim the name; where nobody did, any is. */
  serves(machine: Machine): boolean {
    const claims = this.#claims.get(machine.name) ?? [];
    const last = claims.find(({ generation }) => generation === this.highest(machine));
    return last === undefined || last.by === stateOf(machine);
  }

  /**
   * Nothing is admitted, started, taken over or ended a look's age after another state has claimed the name, nor
   * under a clock that is behind what the state has seen.
   */
  checkServes(machine: Machine, life: Life, { runId }: Receipt): void {
    const { meta, nonces } = machine.disk.content;
    const { highestClockMs } = meta;
    if (life.clock.now() < highestClockMs - limits.clockStepMs)
      this.#ledger.violate(
        "promise 1",
        `${life.name} decides about ${runId} by a clock that is behind`,
      );
    const self = stateOf(machine);
    if (this.#unclaimed.has(self))
      this.#ledger.violate(
        "promise 1",
        `${life.name} decides about ${runId} for an unclaimed name`,
      );
    const claims = this.#claims.get(machine.name) ?? [];
    const own = claims.filter(({ by }) => by === self).map(({ generation }) => generation);
    const safe = Math.max(this.#known.get(self) ?? 0, ...own);
    const nowMs = machine.world.nowMs;
    const other = claims.find(
      ({ by, generation, nonce, atMs }) =>
        by !== self &&
        !nonces.has(nonce) &&
        generation > safe &&
        nowMs > atMs + limits.ownerLookMs * 1.1,
    );
    if (other !== undefined)
      this.#ledger.violate(
        "promise 1",
        `${life.name} decides about ${runId}, though ${other.by} has claimed the name`,
      );
  }
}

function stateOf({ label, lives }: Machine): string {
  return `${label}/${lives}`;
}
