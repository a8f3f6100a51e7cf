import type { GatewayName } from "../base/names.ts";
import type { RequestName } from "../protocol/object-key.ts";

type Name = Pick<RequestName, "from" | "runId">;

/** Requests whose admission is on its way in one responder, until each is decided. */
export class Admissions {
  readonly #names = new Map<Promise<void>, Name>();

  get size(): number {
    return this.#names.size;
  }

  sentBy(sender: GatewayName): number {
    return [...this.#names.values()].filter(({ from }) => from === sender).length;
  }

  /** Whether a request of this name is on its way, whatever its bytes. */
  hasName(name: Name): boolean {
    return [...this.#names.values()].some(
      ({ from, runId }) => from === name.from && runId === name.runId,
    );
  }

  /** Forgets it again once it is decided. It must not reject. */
  add(name: Name, admission: Promise<void>): void {
    const decided = admission.finally(() => this.#names.delete(decided));
    this.#names.set(decided, name);
  }

  /** Waits for one of them, if there is any. */
  async oneDecided(): Promise<void> {
    if (this.#names.size > 0) await Promise.race(this.#names.keys());
  }

  async allDecided(): Promise<void> {
    await Promise.all(this.#names.keys());
  }
}
