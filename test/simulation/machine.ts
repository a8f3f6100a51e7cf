import { silentLogger } from "../../src/base/log.ts";
import { isWorkerId, type GatewayName, type Realm, type WorkerId } from "../../src/base/names.ts";
import { asPosternError, PosternError } from "../../src/base/errors.ts";
import { newNonce, type Mailbox } from "../../src/mailbox/mailbox.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { ensureOwner } from "../../src/mailbox/owner.ts";
import type { SigningKey } from "../../src/protocol/keys.ts";
import type { MemoryContent } from "../../src/state/memory/content.ts";
import type { State } from "../../src/state/state.ts";
import { RecordState } from "../../src/state/steps.ts";
import type { Trust } from "../../src/trust/trust.ts";
import type { Checker } from "./checker.ts";
import { Life, noFaults, type Faults } from "./life.ts";
import type { SimClock } from "./sim-clock.ts";
import { SimDisk, SimRecords } from "./sim-disk.ts";
import { SimStore, type Bucket } from "./sim-store.ts";
import type { World } from "./world.ts";

export interface MachineParts {
  /** What tells it from all others; a copy of a home has the name of its original, and a label of its own. */
  readonly label: string;
  readonly name: GatewayName;
  readonly realm: Realm;
  readonly signingKey: SigningKey;
  readonly world: World;
  readonly bucket: Bucket;
  readonly checker: Checker;
  readonly clock: SimClock;
  readonly faults: () => Faults;
  /** Told of each commit about a run, by whom. */
  readonly onReceipt: (machine: Machine, life: Life, receipt: Receipt) => void;
  /** Told of each look at the owner keys, by whom. */
  readonly onLook: (machine: Machine, life: Life) => void;
}

/** One home of a gateway, and the machine that it lies on: what outlives its processes. */
export class Machine {
  readonly label: string;
  readonly name: GatewayName;
  readonly realm: Realm;
  readonly signingKey: SigningKey;
  readonly world: World;
  readonly clock: SimClock;
  readonly disk: SimDisk;
  trust: Trust | undefined;
  /** Counts up when the home was lost, so that what was told before does not bind what is told after. */
  lives = 0;
  /** Whether what it remembers is not all that it knew: that is an exception of the second promise. */
  stateWasLost = false;
  /** Whether no process may be started for now. */
  isOff = false;
  readonly #parts: MachineParts;
  readonly #processes = new Map<WorkerId, Life>();
  readonly #lives = new Map<string, number>();
  #recoveries = 0;
  /** Workers of the machine whose home this is a copy of. */
  #unlocked: ReadonlyMap<WorkerId, Life> = new Map();

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.label = parts.label;
    this.name = parts.name;
    this.realm = parts.realm;
    this.signingKey = parts.signingKey;
    this.world = parts.world;
    this.clock = parts.clock;
    this.disk = new SimDisk(Math.floor(this.world.nowMs + this.clock.offsetMs()));
  }

  /**
   * Another machine with a copy of this home and all its keys, whose own clock it has. With the files that its
   * workers lock, which nobody locks there; or without, and then nobody knows whether a worker lives.
   */
  copy(label: string, clock: SimClock, { withLocks }: { readonly withLocks: boolean }): Machine {
    const copy = new Machine({ ...this.#parts, label, clock });
    if (withLocks) copy.#unlocked = this.#processes;
    copy.disk.restore(this.disk.snapshot());
    copy.trust = this.trust;
    return copy;
  }

  /**
   * Starts a process: everything it does on disk and in the bucket may fail, and it may die at any of it. The name
   * of what it is for is the same in every try; of several at once, each has a number.
   */
  boot(what: string): { readonly life: Life; readonly mailbox: Mailbox } {
    const { world, faults } = this.#parts;
    const number = (this.#lives.get(what) ?? 0) + 1;
    this.#lives.set(what, number);
    const name = `${this.label}#${what}${number === 1 ? "" : `.${number}`}`;
    const life = new Life(name, { world, offsetMs: this.clock.offsetMs, faults });
    return { life, mailbox: this.#mailboxOf(life) };
  }

  #mailboxOf(life: Life): Mailbox {
    const { world, bucket, checker } = this.#parts;
    const random = world.randomOf(`${life.name} mailbox`);
    const worker = newNonce(random);
    if (!isWorkerId(worker)) throw new PosternError("INTERNAL", "a nonce is no worker id");
    this.#processes.set(worker, life);
    checker.born(this, worker, life);
    return {
      self: this.name,
      realm: this.realm,
      signingKey: this.signingKey,
      store: new SimStore(bucket, this, life, checker),
      state: this.#stateOf(life),
      trust: { current: () => this.#trust() },
      liveness: { self: worker, isGone: (other) => this.#isGone(other) },
      clock: life.clock,
      random,
      log: silentLogger,
    };
  }

  #isGone(worker: WorkerId): boolean {
    const own = this.#processes.get(worker);
    return own === undefined ? this.#unlocked.has(worker) : !own.alive;
  }

  /**
   * What an operator does by hand after a loss, without faults, beside whatever is at work there. The name is claimed
   * at once, as `postern state recover` does it, unless the store is away: who else serves it finds out within a
   * look's age from then on. Where another claim comes in between, all of it is done again.
   */
  async recover({ claims = true } = {}): Promise<void> {
    const { world } = this;
    const parts = { world, offsetMs: this.clock.offsetMs, faults: () => noFaults };
    this.#recoveries += 1;
    const again = this.#recoveries === 1 ? "" : `.${this.#recoveries}`;
    const life = new Life(`${this.label}#recover.${this.lives}${again}`, parts);
    const mailbox = this.#mailboxOf(life);
    world.tell(this.label, "has its state recovered by its operator");
    await mailbox.state.recover();
    this.#parts.checker.recovered(this);
    const isElsewhere = claims && !(await claimsName(mailbox));
    life.end("exits");
    if (isElsewhere) await this.recover();
  }

  /** As a closed lid does: all its processes stand still, and none begins. */
  standStill(ms: number): void {
    this.isOff = true;
    this.world.tell(this.label, `has its lid closed for ${Math.round(ms / 1000)} s`);
    for (const life of this.#processes.values())
      if (life.alive) life.pauseFor(ms, "with its machine");
    this.world.schedule(ms, () => {
      this.isOff = false;
    });
  }

  /** All its processes die at once; what its state had not made durable may be gone. */
  powerOff(losesUnsynced: boolean): void {
    for (const life of this.#processes.values()) life.end("crashes");
    if (losesUnsynced) this.disk.losePower();
    this.#parts.checker.rewound(this);
  }

  /** The home as it was at an earlier moment, or an empty one, in the place of this one. */
  putBack(content: MemoryContent): void {
    this.powerOff(false);
    this.disk.restore(content);
    this.stateWasLost = true;
    this.lives += 1;
    this.#parts.checker.putBack(this);
  }

  #trust(): Trust {
    if (this.trust === undefined)
      throw new PosternError("TRUST_INVALID", "simulated: no trust document");
    return this.trust;
  }

  /** The machine's state as one process has it: each step is one operation, and is looked at by the checker. */
  #stateOf(life: Life): State {
    const onCommit = (): void => {
      for (const receipt of this.#parts.checker.committed(this, life))
        this.#parts.onReceipt(this, life, receipt);
    };
    const records = new SimRecords(this.disk, life, onCommit);
    return new Proxy(new RecordState(records, life.clock), {
      get: (state, name) => {
        const method: unknown = Reflect.get(state, name);
        if (typeof method !== "function") return method;
        return (...parameters: unknown[]): Promise<unknown> =>
          life.local(`state.${String(name)}`, async () => {
            const answer: unknown = await Reflect.apply(method, state, parameters);
            if (name === "noteOwner") this.#parts.onLook(this, life);
            return answer;
          });
      },
    });
  }
}

/** False where another claim was met. */
async function claimsName(mailbox: Mailbox): Promise<boolean> {
  try {
    await ensureOwner(mailbox);
    return true;
  } catch (thrown) {
    if (asPosternError(thrown).code === "STATE_ELSEWHERE") return false;
    throw thrown;
  }
}
