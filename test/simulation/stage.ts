import { asPosternError, type ErrorCode } from "../../src/base/errors.ts";
import type { RunId } from "../../src/base/names.ts";
import { follow } from "../../src/mailbox/follow.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import type { Checker } from "./checker.ts";
import { noFaults, type Faults, type Life } from "./life.ts";
import { underLid } from "./lid.ts";
import type { Machine } from "./machine.ts";
import type { Bucket } from "./sim-store.ts";
import { expectedCodes, type Weather } from "./weather.ts";
import type { World } from "./world.ts";

export const minute = 60_000;
/** How long there is trouble. */
export const troubledMs = 25 * minute;

/** Some process has brought some run into this state, or has looked at who owns the name, and done nothing since. */
export type Reached = Receipt["state"] | "a look";

export interface WorstMoment {
  readonly reached: Reached;
  readonly happens: (life: Life) => void;
}

/** One seed's world with all who are in it. */
export class Stage {
  readonly world: World;
  readonly weather: Weather;
  readonly checker: Checker;
  readonly bucket: Bucket;
  readonly machines: Machine[] = [];
  /** What was asked so far, and from where. */
  readonly runs: { readonly machine: Machine; readonly runId: RunId }[] = [];
  /** What happens to a home, by its machine's label, at the worst moment for it; to most, nothing does. */
  readonly worst = new Map<string, WorstMoment>();
  readonly #expected: Set<ErrorCode>;
  #faults: Faults;
  #calm = false;

  constructor(parts: {
    readonly world: World;
    readonly weather: Weather;
    readonly checker: Checker;
    readonly bucket: Bucket;
  }) {
    this.world = parts.world;
    this.weather = parts.weather;
    this.checker = parts.checker;
    this.bucket = parts.bucket;
    this.#expected = new Set(expectedCodes(this.weather));
    this.#faults = this.weather.faults;
  }

  readonly faults = (): Faults => this.#faults;

  reached(machine: Machine, life: Life, what: Reached): void {
    const worst = this.worst.get(machine.label);
    if (worst?.reached === what && !this.#calm) worst.happens(life);
  }

  calm(): void {
    this.#faults = noFaults;
    this.#calm = true;
  }

  get isCalm(): boolean {
    return this.#calm;
  }

  /** One process from start to end. What it reports must be a code that such trouble explains. */
  process(
    machine: Machine,
    what: string,
    work: (mailbox: Mailbox, life: Life) => Promise<void>,
  ): Life | undefined {
    if (machine.isOff) return undefined;
    const { life, mailbox } = machine.boot(what);
    work(underLid(this, machine, life, mailbox), life).then(
      () => life.end("exits"),
      (thrown: unknown) => {
        this.#failed(life.name, thrown);
        life.end("exits");
      },
    );
    return life;
  }

  /** What its operator does after a loss. A claim that was on its way meanwhile is somebody else's. */
  recover(machine: Machine, how: { readonly claims?: boolean } = {}): void {
    this.#expected.add("STATE_ELSEWHERE");
    machine.recover(how).catch((thrown: unknown) => this.#failed(machine.label, thrown));
  }

  #failed(who: string, thrown: unknown): void {
    const error = asPosternError(thrown);
    this.world.tell(who, `fails with ${error.code}`);
    // Of one object alone (`toldApart`), it is what the store said of it.
    const { code } = error.code === "STORE_FAILED" ? asPosternError(error.cause) : error;
    if (this.#expected.has(code)) return;
    const what = `${who} failed with ${error.code}: ${error.stack ?? error.message}`;
    this.world.violate("promise 6", what);
  }

  async follow(
    machine: Machine,
    mailbox: Mailbox,
    runId: RunId,
    patienceMs: number,
  ): Promise<void> {
    const patience = new AbortController();
    this.world.schedule(patienceMs, () => patience.abort());
    const frames: PlacedFrame[] = [];
    const reading = follow(mailbox, runId, { signal: patience.signal });
    for (;;) {
      const step = await reading.next();
      if (step.done === true) {
        if (step.value.status === "closed") this.checker.told(machine, runId, step.value.terminal);
        return;
      }
      frames.push(step.value);
      this.checker.yielded(runId, frames);
    }
  }
}
