import { limits } from "../../src/base/limits.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import type { Ledger } from "./ledger.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import { bucketLies, type Weather } from "./weather.ts";

/** What can never change, and so may be refused for good; anything else has to wait. */
const finalRefusals: ReadonlySet<string> = new Set([
  "NOT_GRANTED",
  "TOO_LARGE",
  "IDEMPOTENCY_CONFLICT",
]);

/** How long a cancel has to lie there before nobody can have missed it. */
const seenMs = 60_000;

/** A request's first receipt, beside the clock at its commit and what else is known of it (SPEC.md, Admission). */
export class AdmissionChecks {
  readonly #ledger: Ledger;
  readonly #weather: Weather;

  constructor(ledger: Ledger, weather: Weather) {
    this.#ledger = ledger;
    this.#weather = weather;
  }

  decided(machine: Machine, life: Life, receipt: Receipt): void {
    if (receipt.admitted) this.#checkAdmitted(machine, life, receipt);
    else this.#checkAnswered(machine, life, receipt);
  }

  #checkAdmitted(machine: Machine, life: Life, receipt: Receipt): void {
    const { runId, from, exp, deadline } = receipt;
    const nowMs = life.clock.now();
    const admitted = [...machine.disk.content.receipts.values()].filter(
      (other) => other.admitted && other.runId === runId && other.from === from,
    );
    if (admitted.length > 1)
      this.#ledger.violate("promise 1", `two requests were admitted as ${runId}`);
    if (mayBeForgotten(machine, receipt))
      this.#ledger.violate(
        "promise 1",
        `${runId} was admitted, and may have run before a recovery`,
      );
    if (nowMs >= exp * 1000 + limits.skewMs)
      this.#ledger.violate("promise 2", `${runId} was admitted when it had expired`);
    if (deadline !== null && nowMs >= deadline * 1000)
      this.#ledger.violate("promise 2", `${runId} was admitted after its deadline`);
    if (this.#isCancelled(machine, life, receipt))
      this.#ledger.violate("promise 2", `${runId} was admitted, though a cancel lies beside it`);
  }

  /** Only what is known is claimed: that it never ran, and never will. */
  #checkAnswered(machine: Machine, life: Life, receipt: Receipt): void {
    const { runId, exp, ended } = receipt;
    const payload = ended?.terminal?.payload;
    if (payload === undefined) return;
    const code = payload.error?.code ?? "";
    if (mayBeForgotten(machine, receipt) && code !== "STATE_LOST")
      this.#ledger.violate("promise 2", `${runId} was answered ${code}, and may have run before`);
    if (payload.status === "refused" && !finalRefusals.has(code))
      this.#ledger.violate("promise 2", `${runId} was refused for good with ${code}`);
    const isClaim = code === "EXPIRED" || code === "IDEMPOTENCY_CONFLICT";
    if (isClaim && life.clock.now() >= exp * 1000 + 2 * limits.skewMs)
      this.#ledger.violate("promise 2", `${runId} was answered ${code} when nobody believes it`);
  }

  /** Whether a cancel of exactly this request has long been there for everybody to see. */
  #isCancelled({ name, world }: Machine, life: Life, receipt: Receipt): boolean {
    if (life.wasPaused || bucketLies(this.#weather) || this.#weather.store !== "fair") return false;
    const { from, runId, requestDigest } = receipt;
    const digest16 = digest16Of(requestDigest);
    const key = objectKey({ kind: "cancel", to: name, from, runId, digest16 });
    return world.nowMs - (this.#ledger.cancels.get(key) ?? Infinity) > seenMs;
  }
}

/** Signed before a recovered state claimed the name, or so soon after that another one may have run it. */
function mayBeForgotten({ disk }: Machine, { iat }: Receipt): boolean {
  const { bornMs } = disk.content.meta;
  return bornMs > 0 && iat * 1000 < bornMs + limits.recoveryMs;
}
