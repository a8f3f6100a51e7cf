import type { PosternError } from "../base/errors.ts";
import type { GatewayName } from "../base/names.ts";
import { isStranger } from "../mailbox/grants.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { toldApart } from "../mailbox/told-apart.ts";
import type { RunRef } from "../protocol/receipt.ts";
import { isOfOneRun, type Failure, type Troubles } from "./troubles.ts";

/** What went wrong with single runs and requests, apart from all others. */
export class Problems {
  readonly #box: Mailbox;
  readonly #troubles: Troubles;
  readonly #problems = new Map<string, PosternError>();

  constructor(box: Mailbox, troubles: Troubles) {
    this.#box = box;
    this.#troubles = troubles;
  }

  /** Since it was last asked. */
  take(): readonly PosternError[] {
    const problems = [...this.#problems.values()];
    this.#problems.clear();
    return problems;
  }

  /** Once, however often it is met: a long pass looks at what is wrong every few seconds. */
  add(problem: PosternError): void {
    const what = `${problem.code} ${problem.message}`;
    if (!this.#problems.has(what)) this.#problems.set(what, problem);
  }

  /** What is wrong with a single run or request does not stand in the way of the others; false where something is. */
  async apart(
    { from, runId }: Pick<RunRef, "from" | "runId">,
    work: () => Promise<void>,
  ): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      const error = await toldApart(this.#box, thrown);
      if (!isOfOneRun(error)) throw error;
      this.add(error);
      this.note(from, error);
      this.#box.log.error(
        { run: runId, code: error.code, err: error },
        "a run cannot be dealt with now",
      );
      return false;
    }
  }

  /** Strangers' names cost nothing to invent: what is remembered of them is in quarantine. */
  note(from: GatewayName, failure: Failure): void {
    if (!isStranger(this.#box, from)) this.#troubles.failed(from, failure);
  }
}
