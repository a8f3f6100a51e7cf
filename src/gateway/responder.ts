import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { AgentName, GatewayName } from "../base/names.ts";
import type { Handler } from "../handlers/handler.ts";
import { admit, type Waiting } from "../mailbox/admit.ts";
import { dropSpentCancel, readCancel, type ListedCancel } from "../mailbox/cancel.ts";
import { publishEnding, republishEnding } from "../mailbox/end.ts";
import type { MaxRunOf } from "../mailbox/grants.ts";
import { scanInbox } from "../mailbox/inbox.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { claimAfterRecovery } from "../mailbox/owner.ts";
import { takeOver, type OnCrash } from "../mailbox/take-over.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import type { RequestName } from "../protocol/object-key.ts";
import type { Receipt, RunRef } from "../protocol/receipt.ts";
import { decodeRequest } from "../protocol/request.ts";
import { Run } from "./run.ts";
import { RunsAtWork } from "./runs-at-work.ts";
import { isOfOneRun, toldApart, Troubles, type Failure } from "./troubles.ts";

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

/** How long each agent that is here may take. */
export function maxRunsOf({ agents }: Pick<ResponderOptions, "agents">): MaxRunOf {
  return (agent) => agents.get(agent)?.maxRunMs;
}

/** What a responder did, counted since it was made. */
export interface Responded {
  admitted: number;
  takenOver: number;
  answered: number;
  quarantined: number;
  waiting: number;
}

const quarantinedText = "what it sent was refused: see `postern quarantine list`";

/** Whether one more run may start, besides so many whose admission is on its way. */
export type MayStart = (onTheirWay: number) => boolean;

/**
 * The callee's side in one process: takes over what dead workers left, admits what waits, and runs it.
 * Admits only what it starts at once: at the bound it waits for a run to end.
 */
export class Responder {
  readonly #box: Mailbox;
  readonly #options: ResponderOptions;
  readonly #troubles: Troubles;
  readonly #maxRunOf: MaxRunOf;
  readonly runs: RunsAtWork;
  /** Admissions on their way, each with the request's name. */
  readonly #admitting = new Map<Promise<unknown>, RequestName>();
  readonly #counts: Responded = {
    admitted: 0,
    takenOver: 0,
    answered: 0,
    quarantined: 0,
    waiting: 0,
  };
  readonly #problems: PosternError[] = [];
  /** Open runs that other live workers hold: they count against the bound of this gateway. */
  #elsewhere = 0;

  constructor(box: Mailbox, options: ResponderOptions, troubles = new Troubles(box)) {
    this.#box = box;
    this.#options = options;
    this.#troubles = troubles;
    this.#maxRunOf = maxRunsOf(options);
    this.runs = new RunsAtWork(box);
  }

  get counts(): Readonly<Responded> {
    return this.#counts;
  }

  /** What went wrong with single runs since it was last asked; they stay open and are taken up by a later pass. */
  takeProblems(): readonly PosternError[] {
    return this.#problems.splice(0);
  }

  /** Whether requests were left in the inbox that may run once there is room, or time. */
  get hasWaiting(): boolean {
    return this.#counts.waiting > 0;
  }

  /** Publishes committed ends whose publishing broke off, and takes over runs whose worker is gone. */
  async recover(mayStart: MayStart): Promise<void> {
    const { state } = this.#box;
    await claimAfterRecovery(this.#box);
    const untilMs = this.#box.clock.now() + limits.scanMs;
    const limit = limits.recoverPerPass;
    // Where one end of a peer's cannot be published, its others wait for the next time as well.
    const unreachable = new Set<GatewayName>();
    for (const ref of await state.receiptRefs({ are: "unacknowledged", limit })) {
      if (this.runs.isOurs(ref) || unreachable.has(ref.from)) continue;
      if (this.#box.clock.now() >= untilMs) break;
      const done = await this.#apart(ref, async () => {
        const receipt = await state.receipt(ref);
        if (receipt?.ended?.acknowledged === false) await republishEnding(this.#box, receipt);
      });
      if (!done) unreachable.add(ref.from);
    }
    this.#elsewhere = 0;
    for (const ref of await state.receiptRefs({ are: "open", limit })) {
      if (this.runs.isOurs(ref)) continue;
      while (this.#isFull() && mayStart(0) && this.#box.clock.now() < untilMs)
        await this.runs.oneDone();
      if (this.#isFull() || !mayStart(0)) return;
      await this.#apart(ref, async () => {
        const receipt = await state.receipt(ref);
        // Another process may have ended it since it was listed, or even collected it.
        if (receipt === undefined || receipt.ended !== null) return;
        if (!(await this.#takeOver(receipt))) this.#elsewhere += 1;
      });
    }
  }

  /**
   * Looks through the inbox once; starts what it admits, as long as `mayStart` says so. What finds no room
   * gets it as runs end, for as long as a listing is worth going on with; then it is left to the next scan.
   */
  async scan(mayStart: MayStart): Promise<void> {
    this.#counts.waiting = 0;
    this.runs.checkTrust();
    const untilMs = this.#box.clock.now() + limits.scanMs;
    const scan = new Scan(mayStart, untilMs);
    try {
      for await (const page of scanInbox(this.#box, scan.full)) {
        for (const cancel of page.cancels)
          await this.#apart(cancel.name, () => this.#hearCancel(cancel));
        let left = page.waiting;
        do left = await this.#admitAll(left, scan);
        while (left.length > 0 && scan.mayGoOn() && (await this.#makesRoom(left, untilMs)));
        for (const { name } of left) scan.full.add(name.from);
        this.#counts.waiting += left.length;
        if (!scan.goesOn) break;
      }
    } finally {
      await Promise.all(this.#admitting.keys());
    }
    if (scan.failure !== undefined) throw scan.failure;
  }

  /** Admits what there is room for, several at once; returns what there was none for. */
  async #admitAll(waiting: readonly Waiting[], scan: Scan): Promise<readonly Waiting[]> {
    const left: Waiting[] = [];
    for (const [index, request] of waiting.entries()) {
      const { from } = request.name;
      // The same request may wait in the inbox and, released, in quarantine: the one is looked at after the other.
      while (this.#isBeingAdmitted(request)) await this.#oneAdmitted();
      if (scan.full.has(from)) this.#counts.waiting += 1;
      else if (!scan.takesStrangers && this.#isStranger(from)) continue;
      else if (!this.#hasRoomFor(request)) left.push(request);
      else if (!this.runs.hasName(request.name)) {
        if (!(await this.#mayAdmit(scan))) return [...left, ...waiting.slice(index)];
        this.#admitSoon(request, scan);
      }
    }
    await Promise.all(this.#admitting.keys());
    return left;
  }

  /** Whether one more may be admitted, once what is on its way leaves room to say so. */
  async #mayAdmit(scan: Scan): Promise<boolean> {
    while (this.#admitting.size >= limits.admissionsAtOnce) await this.#oneAdmitted();
    while (scan.goesOn && this.#admitting.size > 0) {
      if (scan.mayStart(this.#admitting.size)) return true;
      await this.#oneAdmitted();
    }
    return scan.mayGoOn();
  }

  async #oneAdmitted(): Promise<void> {
    await Promise.race(this.#admitting.keys());
  }

  #admitSoon(waiting: Waiting, scan: Scan): void {
    const admission: Promise<unknown> = this.#apart(waiting.name, () => this.#admit(waiting, scan))
      .then((done) => {
        // A store may take its time to fail: what else this sender has waits for the next scan.
        if (!done && this.#box.clock.now() >= scan.untilMs) scan.full.add(waiting.name.from);
      })
      .catch((thrown: unknown) => {
        scan.failure ??= asPosternError(thrown);
      })
      .finally(() => this.#admitting.delete(admission));
    this.#admitting.set(admission, waiting.name);
  }

  async #admit(waiting: Waiting, scan: Scan): Promise<void> {
    const { from } = waiting.name;
    const result = await admit(this.#box, waiting, this.#maxRunOf);
    switch (result.status) {
      case "admitted":
        this.#counts.admitted += 1;
        this.#troubles.wentWell(from);
        this.#start(result.receipt, result.request);
        return;
      case "exists":
        if (result.receipt.state !== "ended" && !this.runs.isOurs(result.receipt))
          await this.#takeOver(result.receipt);
        return;
      case "answered":
        this.#counts.answered += 1;
        this.#troubles.wentWell(from);
        return;
      case "quarantined":
        if (result.answer === "kept") {
          this.#counts.quarantined += 1;
          this.#noteTrouble(from, { code: result.code, message: quarantinedText });
        }
        if (result.answer === "over-budget") this.#readInVain(waiting, scan);
        return;
      case "waits":
        this.#counts.waiting += 1;
        if (result.code === "QUOTA_REACHED") scan.full.add(from);
        this.#box.log.info({ run: waiting.name.runId, code: result.code }, "a request waits");
        return;
      case "gone":
        return;
    }
  }

  /** What cannot be kept is read again by every scan, but not without bound. */
  #readInVain({ name: { from }, size }: Waiting, scan: Scan): void {
    // Their names cost nothing to invent: what else lies there under any of them stays unread.
    if (this.#isStranger(from)) scan.takesStrangers = false;
    const bytes = (scan.inVain.get(from) ?? 0) + Math.min(size, limits.maxEnvelopeBytes);
    scan.inVain.set(from, bytes);
    if (bytes >= limits.quarantineBytesPerPeer) scan.full.add(from);
  }

  /** False when the run is left to a worker that lives. */
  async #takeOver(receipt: Receipt): Promise<boolean> {
    const taken = await takeOver(this.#box, receipt, {
      isOurs: (other) => this.runs.isOurs(other),
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
      maxRunOf: this.#maxRunOf,
    });
    this.runs.add(run);
    const end = (): void => this.#troubles.wentWell(receipt.from);
    run.done.then(end, (thrown: unknown) => {
      const error = asPosternError(thrown);
      this.#problems.push(error);
      if (isOfOneRun(error)) this.#troubles.failed(receipt.from, error);
      this.#box.log.error(
        { run: receipt.runId, code: error.code, err: error },
        "a run could not be ended and stays open",
      );
    });
  }

  /** A cancel for a run at work here stops it; one that has nothing left to stop is deleted. */
  async #hearCancel(listed: ListedCancel): Promise<void> {
    const receipt = await this.#box.state.receiptOfCancel(listed.name);
    const run = receipt === undefined ? undefined : this.runs.find(receipt);
    if (receipt !== undefined && run !== undefined) {
      if (await readCancel(this.#box, receipt)) run.stop("cancelled");
      return;
    }
    await dropSpentCancel(this.#box, listed, receipt);
  }

  #isBeingAdmitted({ name }: Waiting): boolean {
    return [...this.#admitting.values()].some(
      ({ from, runId }) => from === name.from && runId === name.runId,
    );
  }

  #isStranger(sender: GatewayName): boolean {
    return this.#box.trust.current().grantsOf(sender) === undefined;
  }

  #isFull(): boolean {
    return this.runs.size + this.#admitting.size >= this.#options.maxConcurrentRuns;
  }

  /**
   * Whether it may be taken through admission now, as far as this process knows; admission asks the state. What
   * a cancel lies beside needs no room of its sender's to be answered.
   */
  #hasRoomFor({ name, cancels }: Waiting): boolean {
    const taken = this.runs.size + this.#admitting.size + this.#elsewhere;
    if (taken >= this.#options.maxConcurrentRuns) return false;
    if (cancels.length > 0) return true;
    const most = this.#box.trust.current().grantsOf(name.from)?.maxConcurrentRuns ?? Infinity;
    const admitting = [...this.#admitting.values()].filter(({ from }) => from === name.from);
    return this.runs.sentBy(name.from) + admitting.length < most;
  }

  /** Whether one of these has room, at the latest a moment from now. */
  async #makesRoom(left: readonly Waiting[], untilMs: number): Promise<boolean> {
    if (left.some((request) => this.#hasRoomFor(request))) return true;
    return this.#box.clock.now() < untilMs && (await this.runs.oneDone());
  }

  /** What is wrong with a single run or request does not stand in the way of the others. */
  async #apart(
    { from, runId }: Pick<RunRef, "from" | "runId">,
    work: () => Promise<void>,
  ): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      const error = await toldApart(this.#box, thrown);
      if (!isOfOneRun(error)) throw error;
      this.#problems.push(error);
      this.#noteTrouble(from, error);
      this.#box.log.error(
        { run: runId, code: error.code, err: error },
        "a run cannot be dealt with now",
      );
      return false;
    }
  }

  /** Strangers' names cost nothing to invent: what is remembered of them is in quarantine. */
  #noteTrouble(from: GatewayName, failure: Failure): void {
    if (!this.#isStranger(from)) this.#troubles.failed(from, failure);
  }
}

/** One look through the inbox, and why it may not go on. */
class Scan {
  readonly mayStart: MayStart;
  /** How long the listing is worth going on with. */
  readonly untilMs: number;
  /** Senders that have reached a quota, or found no room: the rest of what they sent waits as well, unread. */
  readonly full = new Set<GatewayName>();
  /** Bytes that were read of a sender and could not be kept. */
  readonly inVain = new Map<GatewayName, number>();
  /** False once their quarantine is full. */
  takesStrangers = true;
  failure: PosternError | undefined;
  #over = false;

  constructor(mayStart: MayStart, untilMs: number) {
    this.mayStart = mayStart;
    this.untilMs = untilMs;
  }

  get goesOn(): boolean {
    return !this.#over && this.failure === undefined;
  }

  /** Asked before each admission; once it may not, the scan is over. */
  mayGoOn(): boolean {
    this.#over ||= !this.mayStart(0);
    return this.goesOn;
  }
}

/** Stands in for an agent that was removed after its run was admitted: `commitStart` refuses before it is used. */
const missingHandler: Handler = {
  run: () => Promise.reject(new PosternError("NOT_GRANTED", "the agent is no longer here")),
};
