import type { RunId } from "../../src/base/names.ts";
import type { Work } from "../../src/handlers/handler.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import { digest16Of } from "../../src/protocol/object-key.ts";
import { placeOf, type Ledger } from "./ledger.ts";
import type { Machine } from "./machine.ts";

/** What readers get, beside what handlers said and callees published (promises 2 and 5). */
export class AnswerChecks {
  readonly #ledger: Ledger;
  readonly #emitted = new Map<string, string[]>();
  readonly #told = new Map<string, string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** A handler said something, in this order. */
  emitted({ runId, attempt }: Work, text: string): void {
    const key = `${runId}/${attempt}`;
    this.#emitted.set(key, [...(this.#emitted.get(key) ?? []), text]);
  }

  /** A reader's frames of one attempt so far are a prefix of what that attempt's handler said. */
  yielded(runId: RunId, frames: readonly PlacedFrame[]): void {
    const attempt = frames.at(-1)?.attempt ?? 1;
    const ofAttempt = frames.filter((frame) => frame.attempt === attempt);
    const gap = ofAttempt.findIndex((frame, index) => frame.seq !== index);
    if (gap >= 0)
      this.#ledger.violate(
        "promise 5",
        `a reader of ${runId} got frame ${gap} of attempt ${attempt} out of order`,
      );
    const texts = ofAttempt.flatMap((frame) =>
      frame.event === "textDelta" ? [frame.payload.text] : [],
    );
    const said = this.#emitted.get(`${runId}/${attempt}`) ?? [];
    if (texts.some((text, index) => text !== said[index]))
      this.#ledger.violate(
        "promise 5",
        `a reader of ${runId} got what attempt ${attempt} never said`,
      );
  }

  /**
   * A caller's process came to know how its request ended: always the same, and as its callee published it. Under a
   * clock that was wrong by days it may have forgotten one, and asked another under the same name.
   */
  told(machine: Machine, runId: RunId, terminal: TerminalPayload): void {
    this.#ledger.counts.closed += 1;
    const record = machine.disk.content.outbox.get(runId)?.record;
    if (record === undefined) return;
    const text = JSON.stringify(terminal);
    const place = placeOf({ runId, digest16: digest16Of(record.requestDigest) });
    const key = `${machine.label}/${machine.lives}/${place}`;
    const before = this.#told.get(key);
    if (before !== undefined && before !== text)
      this.#ledger.violate(
        "promise 2",
        `${machine.label} was told two ends of ${runId}: ${before} and ${text}`,
      );
    this.#told.set(key, text);
    if (this.#ledger.published.get(place)?.has(text) !== true)
      this.#ledger.violate(
        "promise 2",
        `${machine.label} was told an end of ${runId} that nobody said`,
      );
  }
}
