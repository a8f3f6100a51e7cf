import { asPosternError, PosternError } from "../base/errors.ts";
import type { AgentName } from "../base/names.ts";
import type { Handler } from "../handlers/handler.ts";
import { publishEnding } from "../mailbox/end.ts";
import type { MaxRunOf } from "../mailbox/grants.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { takeOver, type OnCrash } from "../mailbox/take-over.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import type { Receipt } from "../protocol/receipt.ts";
import { decodeRequest, type RequestPayload } from "../protocol/request.ts";
import type { Problems } from "./problems.ts";
import { Run } from "./run.ts";
import { RunsAtWork } from "./runs-at-work.ts";
import { isOfOneRun, type Troubles } from "./troubles.ts";

/** What requests to one agent run, and how. */
export interface AgentRoute {
  readonly handler: Handler;
  readonly maxRunMs: number;
  readonly onCrash: OnCrash;
}

export interface Routes {
  readonly agents: ReadonlyMap<AgentName, AgentRoute>;
}

/** How long each agent that is here may take. */
export function maxRunsOf({ agents }: Routes): MaxRunOf {
  return (agent) => agents.get(agent)?.maxRunMs;
}

export interface StarterParts {
  readonly routes: Routes;
  readonly problems: Problems;
  readonly troubles: Troubles;
}

/** Starts runs in this process: what was admitted, and what a dead worker left. */
export class Starter {
  readonly #box: Mailbox;
  readonly #parts: StarterParts;
  readonly runs: RunsAtWork;
  #takenOver = 0;

  constructor(box: Mailbox, parts: StarterParts) {
    this.#box = box;
    this.#parts = parts;
    this.runs = new RunsAtWork(box);
  }

  /** How many were taken over so far. */
  get takenOver(): number {
    return this.#takenOver;
  }

  start(receipt: Receipt, request: RequestPayload): void {
    const { routes, problems, troubles } = this.#parts;
    const handler = routes.agents.get(receipt.agent)?.handler ?? missingHandler;
    const run = new Run(this.#box, { receipt, request, handler, maxRunOf: maxRunsOf(routes) });
    this.runs.add(run);
    const end = (): void => troubles.wentWell(receipt.from);
    run.done.then(end, (thrown: unknown) => {
      const error = asPosternError(thrown);
      problems.add(error);
      if (isOfOneRun(error)) troubles.failed(receipt.from, error);
      this.#box.log.error(
        { run: receipt.runId, code: error.code, err: error },
        "a run could not be ended and stays open",
      );
    });
  }

  /** Ends or starts again what a worker that is gone has left; false when the run is left to one that lives. */
  async takeOver(receipt: Receipt): Promise<boolean> {
    const taken = await takeOver(this.#box, receipt, {
      isOurs: (other) => this.runs.isOurs(other),
      onCrash: ({ agent }) => this.#parts.routes.agents.get(agent)?.onCrash ?? "report",
    });
    if (taken.status === "left") return false;
    this.#takenOver += 1;
    if (taken.status === "ended") {
      await publishEnding(this.#box, taken.receipt);
      return true;
    }
    // The bytes were verified when the receipt was made; `commitStart` asks the trust document again.
    const { untrustedPayload } = parseEnvelope("request", taken.receipt.request);
    this.start(taken.receipt, decodeRequest(untrustedPayload));
    return true;
  }
}

/** Stands in for an agent that was removed after its run was admitted: `commitStart` refuses before it is used. */
const missingHandler: Handler = {
  run: () => Promise.reject(new PosternError("NOT_GRANTED", "the agent is no longer here")),
};
