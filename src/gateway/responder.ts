import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { AgentName, GatewayName, RunId } from "../base/names.ts";
import type { Handler } from "../handlers/handler.ts";
import { admit, type Waiting } from "../mailbox/admit.ts";
import {
  dropSpentCancel,
  readCancel,
  receiptOfCancel,
  type ListedCancel,
} from "../mailbox/cancel.ts";
import { publishEnding } from "../mailbox/end.ts";
import { isOwnTrustCode } from "../mailbox/grants.ts";
import { scanInbox } from "../mailbox/inbox.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { takeOver, type OnCrash } from "../mailbox/take-over.ts";
import { wholeStoreCodes } from "../store/store.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { decodeRequest } from "../protocol/request.ts";
import { Run } from "./run.ts";

/** What requests to one agent run, and how. */
export interface AgentRoute {
  readonly handler: Handler;
  readonly maxRunMs: number;
  readonly onCrash: OnCrash;
}

export interface ResponderOptions {
  readonly agents: ReadonlyMap<AgentName, AgentRoute>;
  readonly maxConcurrentRuns: number;
}

/** What a responder did, counted since it was made. */
export interface Responded {
  admitted: number;
  takenOver: number;
  answered: number;
  quarantined: number;
  waiting: number;
}

/**
 * The callee's side in one process: takes over what dead workers left, admits what waits, and runs it.
 * Admits only what it starts at once: at the bound it waits for a run to end.
 */
export class Responder {
  readonly #box: Mailbox;
  readonly #options: ResponderOptions;
  readonly #runs = new Map<string, Run>();
  readonly #counts: Responded = {
    admitted: 0,
    takenOver: 0,
    answered: 0,
    quarantined: 0,
    waiting: 0,
  };
  readonly #problems: PosternError[] = [];
  #stopping = false;
  /** Open runs that other live workers hold: they count against the bound of this gateway. */
  #elsewhere = 0;
  /** Aborted, and replaced, whenever a run is done here. */
  #wake = new AbortController();

  constructor(box: Mailbox, options: ResponderOptions) {
    this.#box = box;
    this.#options = options;
  }

  get counts(): Readonly<Responded> {
    return this.#counts;
  }

  /** What went wrong with single runs, oldest first; the runs stay open and are taken up by a later pass. */
  get problems(): readonly PosternError[] {
    return this.#problems;
  }

  get active(): number {
    return this.#runs.size;
  }

  /** Publishes committed ends whose publishing broke off, and takes over runs whose worker is gone. */
  async recover(mayStart: () => boolean): Promise<void> {
    for (const receipt of await this.#box.state.receipts({
      are: "unacknowledged",
      limit: limits.recoverPerPass,
    })) {
      if (!this.#isActive(receipt))
        await this.#apart(receipt.runId, () => publishEnding(this.#box, receipt));
    }
    for (const receipt of await this.#box.state.receipts({
      are: "open",
      limit: limits.recoverPerPass,
    })) {
      if (this.#isActive(receipt)) continue;
      await this.#freeSlot(0);
      if (!mayStart()) return;
      await this.#apart(receipt.runId, async () => {
        if (!(await this.#takeOver(receipt))) this.#elsewhere += 1;
      });
    }
  }

  /** Looks through the inbox once; starts what it admits, as long as `mayStart` says so. */
  async scan(mayStart: () => boolean): Promise<void> {
    this.#counts.waiting = 0;
    for (const run of this.#runs.values()) run.checkTrust();
    // Senders that have reached a quota: the rest of what they sent waits as well, unread.
    const full = new Set<GatewayName>();
    for await (const page of scanInbox(this.#box)) {
      for (const cancel of page.cancels) await this.#hearCancel(cancel);
      for (const waiting of page.waiting) {
        const { from } = waiting.name;
        if (full.has(from) || this.#isAtWork(waiting)) continue;
        if (!(await this.#freeSlot(this.#elsewhere)) || !mayStart()) return;
        await this.#apart(waiting.name.runId, () => this.#admit(waiting, full));
      }
    }
  }

  /** Resolves when no run is active. Until then cancels are heard, as far as the store lets them through. */
  async settled(): Promise<void> {
    while (this.#runs.size > 0) {
      await this.oneDoneWithin(limits.pollDelayMs);
      await this.listen();
    }
  }

  /** Hears cancels of the runs at work here, and looks at their grants, as far as store and trust allow. */
  async listen(): Promise<void> {
    for (const run of this.#runs.values()) {
      try {
        run.checkTrust();
        if (await readCancel(this.#box, run.receipt)) run.stop("cancelled");
      } catch (thrown) {
        const { code } = asPosternError(thrown);
        this.#box.log.warn({ run: run.receipt.runId, code }, "cancels cannot be heard now");
      }
    }
  }

  /** Resolves when a run is done here, or after `ms`. */
  oneDoneWithin(ms: number): Promise<void> {
    return this.#box.clock.sleep(ms, this.#wake.signal);
  }

  /** Tells every active run to stop; it ends `interrupted`. */
  stop(): void {
    this.#stopping = true;
    for (const run of this.#runs.values()) run.stop("stopping");
  }

  async #admit(waiting: Waiting, full: Set<GatewayName>): Promise<void> {
    const result = await admit(this.#box, waiting, (agent) => this.#maxRunOf(agent));
    switch (result.status) {
      case "admitted":
        this.#counts.admitted += 1;
        this.#start(result.receipt, result.request);
        return;
      case "exists":
        if (result.receipt.state !== "ended" && !this.#isActive(result.receipt))
          await this.#takeOver(result.receipt);
        return;
      case "answered":
        this.#counts.answered += 1;
        return;
      case "quarantined":
        this.#counts.quarantined += 1;
        return;
      case "waits":
        this.#counts.waiting += 1;
        if (result.code === "QUOTA_REACHED") full.add(waiting.name.from);
        this.#box.log.info({ run: waiting.name.runId, code: result.code }, "a request waits");
        return;
      case "gone":
        return;
    }
  }

  /** False when the run is left to a worker that lives. */
  async #takeOver(receipt: Receipt): Promise<boolean> {
    const taken = await takeOver(this.#box, receipt, {
      isOurs: (other) => this.#isActive(other),
      onCrash: ({ agent }) => this.#options.agents.get(agent)?.onCrash ?? "report",
    });
    if (taken.status === "left") return false;
    this.#counts.takenOver += 1;
    if (taken.status === "ended") {
      await publishEnding(this.#box, taken.receipt);
      return true;
    }
    // The bytes were verified when the receipt was made; `commitStart` asks the trust document again.
    const { untrustedPayload } = parseEnvelope("request", taken.receipt.request);
    this.#start(taken.receipt, decodeRequest(untrustedPayload));
    return true;
  }

  #start(receipt: Receipt, request: ReturnType<typeof decodeRequest>): void {
    const handler = this.#options.agents.get(receipt.agent)?.handler ?? missingHandler;
    const run = new Run(this.#box, {
      receipt,
      request,
      handler,
      maxRunOf: (agent) => this.#maxRunOf(agent),
    });
    const key = runKey(receipt);
    this.#runs.set(key, run);
    // Admitted while it was told to stop: whoever comes next starts it.
    if (this.#stopping) run.stop("stopping");
    const forget = (): void => {
      this.#runs.delete(key);
      this.#wake.abort();
      this.#wake = new AbortController();
    };
    run.done.then(forget, (thrown: unknown) => {
      forget();
      const error = asPosternError(thrown);
      this.#problems.push(error);
      this.#box.log.error(
        { run: receipt.runId, code: error.code, err: error },
        "a run could not be ended and stays open",
      );
    });
  }

  /** A cancel for a run at work here stops it; one that has nothing left to stop is deleted. */
  async #hearCancel(listed: ListedCancel): Promise<void> {
    const receipt = await receiptOfCancel(this.#box, listed.name);
    const run = receipt === undefined ? undefined : this.#runs.get(runKey(receipt));
    if (receipt !== undefined && run !== undefined) {
      if (await readCancel(this.#box, receipt)) run.stop("cancelled");
      return;
    }
    await dropSpentCancel(this.#box, listed, receipt);
  }

  #maxRunOf(agent: AgentName): number | undefined {
    return this.#options.agents.get(agent)?.maxRunMs;
  }

  #isActive(run: RunRef): boolean {
    return this.#runs.has(runKey(run));
  }

  #isAtWork({ name }: Waiting): boolean {
    return [...this.#runs.values()].some(
      ({ receipt }) => receipt.from === name.from && receipt.runId === name.runId,
    );
  }

  /**
   * Waits for room beside `others` until no run of our own is left to wait for; says whether there is room.
   * What may stop a run at work is heard meanwhile.
   */
  async #freeSlot(others: number): Promise<boolean> {
    const hasRoom = (): boolean => this.#runs.size + others < this.#options.maxConcurrentRuns;
    while (this.#runs.size > 0 && !hasRoom()) {
      await this.oneDoneWithin(limits.pollDelayMs);
      if (!hasRoom()) await this.listen();
    }
    return hasRoom();
  }

  /** What is wrong with a single run or request does not stand in the way of the others. */
  async #apart(run: RunId, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const error = asPosternError(thrown);
      if (!isOfOneRun(error)) throw error;
      this.#problems.push(error);
      this.#box.log.error({ run, code: error.code, err: error }, "a run cannot be dealt with now");
    }
  }
}

/** Whether a failure tells of one run or one object, and not of the store, the state or this gateway. */
export function isOfOneRun({ code, class: kind }: PosternError): boolean {
  if (kind === "store") return !wholeStoreCodes.has(code);
  return kind === "trust" && !isOwnTrustCode(code);
}

function runKey({ from, runId, requestDigest }: RunRef): string {
  return `${from}/${runId}/${requestDigest}`;
}

/** Stands in for an agent that was removed after its run was admitted: `commitStart` refuses before it is used. */
const missingHandler: Handler = {
  run: () => Promise.reject(new PosternError("NOT_GRANTED", "the agent is no longer here")),
};
