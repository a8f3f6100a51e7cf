import type { RunId } from "../../src/base/names.ts";
import { ask, deliver, type Asked } from "../../src/gateway/ask.ts";
import { poll, type PollReport } from "../../src/gateway/poll.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import type { OnCrash } from "../../src/mailbox/take-over.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import type { StoreCall } from "../../src/store/around.ts";
import { mortal, type Mortal } from "./mortal.ts";
import { routes, sayer, twoGateways, type TwoGateways } from "./two-gateways.ts";

/** What asks a run to stop. */
export type Stop = "cancel" | "deadline";

export const ttlMs = 600_000;
export const deadlineMs = 60_000;

/** One request of the asker's to the doer, and all that may befall it. */
export class OneCall {
  readonly two: TwoGateways;
  /** How often a handler was started for it. */
  starts = 0;
  readonly #asker: Mailbox;
  readonly #asked: Asked;
  readonly by: Stop | undefined;

  private constructor(two: TwoGateways, asker: Mailbox, asked: Asked, stop: Stop | undefined) {
    this.two = two;
    this.#asker = asker;
    this.#asked = asked;
    this.by = stop;
  }

  /** Commits the request and puts nothing. It has a deadline where that is what is to stop it. */
  static async remembered(stop?: Stop): Promise<OneCall> {
    const two = twoGateways();
    const asker = thorough(two.asker.process());
    const asked = await ask(asker, new Map(), {
      target: "doer/work",
      body: { kind: "prompt", prompt: { text: "hi" } },
      ttlMs,
      ...(stop === "deadline" ? { deadlineMs } : {}),
    });
    return new OneCall(two, asker, asked, stop);
  }

  get runId(): RunId {
    return this.#asked.record.runId;
  }

  get receipt(): Receipt | undefined {
    return this.two.doer.receipts.find(({ runId }) => runId === this.runId);
  }

  send(): Promise<void> {
    return deliver(this.#asker, this.#asked);
  }

  cancel(): Promise<void> {
    return cancelRun(this.#asker, this.runId);
  }

  /** The cancel is put, or the deadline passes. */
  async stop(): Promise<void> {
    if (this.by === "cancel") await this.cancel();
    else await this.two.clock.advance(deadlineMs + 1000);
  }

  /** A process of the doer, and how to kill it in the middle of whatever it does. */
  mortalDoer(diesAt?: (call: StoreCall) => boolean): Mortal {
    const box = this.two.doer.process();
    return mortal(box, () => this.two.doer.kill(box), diesAt);
  }

  /** A pass of the doer's, some seconds after it has begun. */
  async begin(box: Mailbox, handler: Handler): Promise<{ readonly ended: Promise<PollReport> }> {
    const ended = poll(box, routes(this.#counting(handler)));
    await this.two.clock.advance(3000);
    return { ended };
  }

  askerPass(): Promise<PollReport> {
    return this.two.clock.until(poll(this.#asker, routes(sayer())));
  }

  doerPass(onCrash: OnCrash = "report"): Promise<PollReport> {
    const doer = thorough(this.two.doer.process());
    const handler = this.#counting(sayer("a"));
    return this.two.clock.until(poll(doer, routes(handler, { onCrash })));
  }

  /** Passes of the asker's, and of nobody else, until `ms` after the request was signed. */
  async aloneUntil(ms: number): Promise<void> {
    const { clock } = this.two;
    const untilMs = this.#asked.record.iat * 1000 + ms;
    while (clock.now() < untilMs) {
      await this.askerPass();
      await clock.advance(Math.min(60_000, untilMs - clock.now()));
    }
    await this.askerPass();
  }

  /** What the asker's record says: its state, and the terminal's status and code. */
  told(): string {
    const record = this.two.asker.outbox.find(({ runId }) => runId === this.runId);
    const { status, error } = record?.terminal ?? {};
    return [record?.state, status, error?.code].filter((word) => word !== undefined).join(" ");
  }

  /** What stands in the store besides the owner keys. */
  async left(): Promise<string[]> {
    const keys = await this.two.keys("");
    return keys.filter((key) => parseObjectKey(key)?.kind !== "owner");
  }

  #counting(handler: Handler): Handler {
    return {
      run: (work, emit, signal) => {
        if (work.runId === this.runId) this.starts += 1;
        return handler.run(work, emit, signal);
      },
    };
  }
}

/** A process whose every pass also does what others do now and then: it sweeps, lists, looks for late answers. */
function thorough(box: Mailbox): Mailbox {
  return { ...box, random: { bytes: (length) => box.random.bytes(length), fraction: () => 0 } };
}
