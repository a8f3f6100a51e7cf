import { limits } from "../base/limits.ts";
import type { GatewayName } from "../base/names.ts";
import { begunAt } from "../base/random.ts";
import { republishEnding } from "../mailbox/end.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import type { Problems } from "./problems.ts";
import type { MayStart } from "./scan.ts";
import type { Starter } from "./starter.ts";

export interface LeftoversParts {
  readonly starter: Starter;
  readonly problems: Problems;
  readonly maxConcurrentRuns: number;
}

/** What other processes of the home left, or this one: ends that are not published, and open runs. */
export class Leftovers {
  readonly #box: Mailbox;
  readonly #parts: LeftoversParts;
  #heldByOthers = 0;
  #waiting = 0;

  constructor(box: Mailbox, parts: LeftoversParts) {
    this.#box = box;
    this.#parts = parts;
  }

  /** Open runs that other live workers held at the last look: they count against the bound of this gateway. */
  get heldByOthers(): number {
    return this.#heldByOthers;
  }

  /** Open runs that no room was found for, and that go before whatever is new. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Publishes the ends, and takes over the runs whose worker is gone, for as long as `mayStart` says so. */
  async deal(mayStart: MayStart): Promise<void> {
    const untilMs = this.#box.clock.now() + limits.scanMs;
    await this.#publishEnds(untilMs);
    await this.#takeOverAll(mayStart, untilMs);
  }

  async #publishEnds(untilMs: number): Promise<void> {
    const { state, clock, random } = this.#box;
    const { starter, problems } = this.#parts;
    // Where one end of a peer's cannot be published, its others wait for the next time as well.
    const unreachable = new Set<GatewayName>();
    const limit = limits.recoverPerPass;
    const refs = await state.receiptRefs({ are: "unacknowledged", limit });
    // One that never can be is not the first each time: it would keep all that came later waiting for ever.
    const start = refs.length > 1 ? random.fraction() : 0;
    for (const ref of begunAt(refs, start)) {
      if (starter.runs.isOurs(ref) || unreachable.has(ref.from)) continue;
      if (clock.now() >= untilMs) return;
      const done = await problems.apart(ref, async () => {
        const receipt = await state.receipt(ref);
        if (receipt?.ended?.acknowledged === false) await republishEnding(this.#box, receipt);
      });
      if (!done) unreachable.add(ref.from);
    }
  }

  async #takeOverAll(mayStart: MayStart, untilMs: number): Promise<void> {
    const { state, clock } = this.#box;
    const { starter, problems, maxConcurrentRuns } = this.#parts;
    // A store may take its time to fail: what else such a peer has waits, for what runs is deaf meanwhile.
    const slow = new Set<GatewayName>();
    this.#heldByOthers = 0;
    this.#waiting = 0;
    const limit = limits.recoverPerPass;
    for (const ref of await state.receiptRefs({ are: "open", limit })) {
      if (starter.runs.isOurs(ref) || slow.has(ref.from)) continue;
      if (starter.runs.size >= maxConcurrentRuns || !mayStart(0)) {
        this.#waiting += 1;
        continue;
      }
      const done = await problems.apart(ref, async () => {
        const receipt = await state.receipt(ref);
        // Another process may have ended it since it was listed, or even collected it.
        if (receipt === undefined || receipt.ended !== null) return;
        if (!(await starter.takeOver(receipt))) this.#heldByOthers += 1;
      });
      if (!done && clock.now() >= untilMs) slow.add(ref.from);
    }
  }
}
