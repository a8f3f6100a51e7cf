import { asPosternError, type PosternError } from "../base/errors.ts";

/**
 * Makes commits durable, several at once where they come together: who asks while a sync runs is served by the next
 * one, which begins after they asked. A sync that fails is the last one: the system may have dropped what it could
 * not write, and tells it once.
 */
export class Syncs {
  readonly #syncNow: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: PosternError | undefined;

  /** `syncNow` resolves once all is durable that was committed when it was called. */
  constructor(syncNow: () => Promise<void>) {
    this.#syncNow = syncNow;
  }

  /**
   * Resolves once everything is durable whose sync was asked for until now. Once a sync has failed, rejects with its
   * failure, whatever was committed since.
   */
  async settled(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await (this.#next ?? this.#running);
  }

  /** Resolves once all that is committed by now is durable. Rejects with the failure of a sync, then and from then on. */
  sync(): Promise<void> {
    if (this.#running === undefined && this.#next === undefined) return this.#begin();
    // One that runs already may have passed by what was committed since.
    this.#next ??= (this.#running ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    return this.#next;
  }

  #begin(): Promise<void> {
    const running = this.#syncUnlessFailed().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #syncUnlessFailed(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await this.#syncNow();
    } catch (thrown) {
      this.#failure = asPosternError(thrown);
      throw this.#failure;
    }
  }
}
