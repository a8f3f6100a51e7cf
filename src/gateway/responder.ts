import { asPosternError, type PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { admit, type Waiting } from "../mailbox/admit.ts";
import { dropSpentCancel, type ListedCancel } from "../mailbox/cancel.ts";
import { isStranger } from "../mailbox/grants.ts";
import { scanInbox, type InboxPage } from "../mailbox/inbox.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { claimAfterRecovery } from "../mailbox/owner.ts";
import { warnOverBudget } from "../mailbox/quarantine.ts";
import type { RunRef } from "../protocol/receipt.ts";
import { Admissions } from "./admissions.ts";
import { Leftovers } from "./leftovers.ts";
import { Problems } from "./problems.ts";
import type { RunsAtWork } from "./runs-at-work.ts";
import { Scan, type MayStart } from "./scan.ts";
import { maxRunsOf, Starter, type Routes } from "./starter.ts";
import { Troubles } from "./troubles.ts";

export interface ResponderOptions extends Routes {
  readonly maxConcurrentRuns: number;
}

/** What a responder did, counted since it was made. */
export interface Responded {
  readonly admitted: number;
  readonly takenOver: number;
  readonly answered: number;
  readonly quarantined: number;
  readonly waiting: number;
}

const quarantinedText = "what it sent was refused: see `postern quarantine list`";

/**
 * The callee's side in one process: takes over what dead workers left, admits what waits, and runs it.
 * Admits only what it starts at once: at the bound it waits for a run to end.
 */
export class Responder {
  readonly #box: Mailbox;
  readonly #options: ResponderOptions;
  readonly #troubles: Troubles;
  readonly #problems: Problems;
  readonly #starter: Starter;
  readonly #leftovers: Leftovers;
  readonly #admissions = new Admissions();
  readonly #counts = { admitted: 0, answered: 0, quarantined: 0, waiting: 0 };
  /** Whether the last scan left requests for want of room; nothing that waits for a quota is among them. */
  #wantedRoom = false;
  /** Aborted once a run is done that was at work when the last scan began, or came to work in it. */
  #doneSince: AbortSignal;

  constructor(box: Mailbox, options: ResponderOptions, troubles = new Troubles(box)) {
    this.#box = box;
    this.#options = options;
    this.#troubles = troubles;
    this.#problems = new Problems(box, troubles);
    this.#starter = new Starter(box, { routes: options, problems: this.#problems, troubles });
    this.#leftovers = new Leftovers(box, {
      starter: this.#starter,
      problems: this.#problems,
      maxConcurrentRuns: options.maxConcurrentRuns,
    });
    this.#doneSince = this.runs.wake;
  }

  get runs(): RunsAtWork {
    return this.#starter.runs;
  }

  get counts(): Responded {
    const { admitted, ...others } = this.#counts;
    return { admitted, takenOver: this.#starter.takenOver, ...others };
  }

  /** What went wrong with single runs since it was last asked; they stay open and are taken up by a later pass. */
  takeProblems(): readonly PosternError[] {
    return this.#problems.take();
  }

  /** Whether runs are at work here, or something wants room that there may be now. */
  get isAtWork(): boolean {
    const mayHaveRoom = this.#wantedRoom && this.#doneSince.aborted;
    return this.runs.size > 0 || this.#leftovers.waiting > 0 || mayHaveRoom;
  }

  /** Whether something was left, in the inbox or by a worker that is gone, that may run once there is room, or time. */
  get hasWaiting(): boolean {
    return this.#counts.waiting + this.#leftovers.waiting > 0;
  }

  /** Publishes committed ends whose publishing broke off, and takes over runs whose worker is gone. */
  async recover(mayStart: MayStart): Promise<void> {
    await claimAfterRecovery(this.#box);
    await this.#leftovers.deal(mayStart);
  }

  /**
   * Looks through the inbox once; starts what it admits, as long as `mayStart` says so. What finds no room
   * gets it as runs end, for as long as a listing is worth going on with; then it is left to the next scan.
   */
  async scan(mayStart: MayStart): Promise<void> {
    this.#counts.waiting = 0;
    this.#wantedRoom = false;
    this.#doneSince = this.runs.wake;
    this.runs.checkTrust();
    const untilMs = this.#box.clock.now() + limits.scanMs;
    const scan = new Scan({
      mayStart,
      untilMs,
      isStranger: (sender) => isStranger(this.#box, sender),
    });
    try {
      for await (const page of scanInbox(this.#box, scan.full)) {
        await this.#hearCancels(page, scan);
        let left = page.waiting;
        do left = await this.#admitAll(left, scan);
        while (left.length > 0 && scan.mayGoOn() && (await this.#makesRoom(left, untilMs)));
        for (const { name } of left) scan.full.add(name.from);
        this.#counts.waiting += left.length;
        this.#wantedRoom ||= left.length > 0;
        if (!scan.goesOn) break;
      }
    } finally {
      await this.#admissions.allDecided();
    }
    if (scan.failure !== undefined) throw scan.failure;
  }

  /** Admits what there is room for, several at once; returns what there was none for. */
  async #admitAll(waiting: readonly Waiting[], scan: Scan): Promise<readonly Waiting[]> {
    const left: Waiting[] = [];
    for (const [index, request] of waiting.entries()) {
      const { from } = request.name;
      // The same request may wait in the inbox and, released, in quarantine: the one is looked at after the other.
      while (this.#admissions.hasName(request.name)) await this.#admissions.oneDecided();
      // Its request lies there until its end is published.
      if (this.runs.hasName(request.name)) continue;
      if (scan.full.has(from)) this.#counts.waiting += 1;
      else if (scan.leaves(from)) continue;
      else if (!this.#hasRoomFor(request)) left.push(request);
      else {
        if (!(await this.#mayAdmit(scan))) return [...left, ...waiting.slice(index)];
        this.#admissions.add(request.name, this.#admitApart(request, scan));
      }
    }
    await this.#admissions.allDecided();
    return left;
  }

  /** Whether one more may be admitted, once what is on its way leaves room to say so. */
  async #mayAdmit(scan: Scan): Promise<boolean> {
    const admissions = this.#admissions;
    while (admissions.size >= limits.admissionsAtOnce) await admissions.oneDecided();
    while (scan.goesOn && admissions.size > 0) {
      if (scan.mayStart(admissions.size)) return true;
      await admissions.oneDecided();
    }
    return scan.mayGoOn();
  }

  async #admitApart(waiting: Waiting, scan: Scan): Promise<void> {
    try {
      await this.#inTime(waiting.name, scan, () => this.#admit(waiting, scan));
    } catch (thrown) {
      scan.failure ??= asPosternError(thrown);
    }
  }

  /** A store may take its time to fail: what else its sender has then waits for the next scan. */
  async #inTime(
    name: Pick<RunRef, "from" | "runId">,
    scan: Scan,
    work: () => Promise<void>,
  ): Promise<void> {
    const done = await this.#problems.apart(name, work);
    if (!done && this.#box.clock.now() >= scan.untilMs) scan.leave(name.from);
  }

  async #admit(waiting: Waiting, scan: Scan): Promise<void> {
    const { from } = waiting.name;
    const result = await admit(this.#box, waiting, maxRunsOf(this.#options));
    switch (result.status) {
      case "admitted":
        this.#counts.admitted += 1;
        this.#troubles.wentWell(from);
        this.#starter.start(result.receipt, result.request);
        return;
      case "exists":
        if (result.receipt.state !== "ended" && !this.runs.isOurs(result.receipt))
          await this.#starter.takeOver(result.receipt);
        return;
      case "answered":
        this.#counts.answered += 1;
        this.#troubles.wentWell(from);
        return;
      case "quarantined":
        if (result.answer === "kept") {
          this.#counts.quarantined += 1;
          this.#problems.note(from, { code: result.code, message: quarantinedText });
        }
        if (result.answer !== "kept") scan.readInVain(from, result.read);
        if (result.answer === "over-budget" && scan.metOverBudget(from))
          warnOverBudget(this.#box, from);
        return;
      case "waits":
        this.#counts.waiting += 1;
        if (result.code === "QUOTA_REACHED") scan.full.add(from);
        else scan.readInVain(from, result.read);
        this.#box.log.info({ run: waiting.name.runId, code: result.code }, "a request waits");
        return;
      case "barred":
        this.#counts.waiting += 1;
        scan.failure ??= result.error;
        return;
      case "gone":
        return;
    }
  }

  /** Of who has more than is listed, what runs here is asked after by name: nobody's own mail makes him unheard. */
  async #hearCancels({ cancels, cut }: InboxPage, scan: Scan): Promise<void> {
    for (const cancel of cancels)
      if (!scan.leaves(cancel.name.from))
        await this.#inTime(cancel.name, scan, () => this.#hearCancel(cancel));
    for (const run of this.runs.ofSenders(cut))
      if (!scan.leaves(run.receipt.from))
        await this.#inTime(run.receipt, scan, () => run.hearCancel());
  }

  /** A cancel for a run at work here stops it; one that has nothing left to stop is deleted. */
  async #hearCancel(listed: ListedCancel): Promise<void> {
    const receipt = await this.#box.state.receiptOfCancel(listed.name);
    const run = receipt === undefined ? undefined : this.runs.find(receipt);
    await (run?.hearCancel() ?? dropSpentCancel(this.#box, listed, receipt));
  }

  /**
   * Whether it may be taken through admission now, as far as this process knows; admission asks the state. What
   * a cancel lies beside needs no room of its sender's to be answered.
   */
  #hasRoomFor({ name, cancels }: Waiting): boolean {
    const { heldByOthers, waiting } = this.#leftovers;
    const taken = this.runs.size + this.#admissions.size + heldByOthers + waiting;
    if (taken >= this.#options.maxConcurrentRuns) return false;
    if (cancels.length > 0) return true;
    const most = this.#box.trust.current().grantsOf(name.from)?.maxConcurrentRuns ?? Infinity;
    return this.runs.sentBy(name.from) + this.#admissions.sentBy(name.from) < most;
  }

  /** Whether one of these has room, at the latest a moment from now. */
  async #makesRoom(left: readonly Waiting[], untilMs: number): Promise<boolean> {
    if (left.some((request) => this.#hasRoomFor(request))) return true;
    // What room comes is not for these, and what it is for is taken up before the next scan.
    if (this.#leftovers.waiting > 0) return false;
    return this.#box.clock.now() < untilMs && (await this.runs.oneDone());
  }
}
