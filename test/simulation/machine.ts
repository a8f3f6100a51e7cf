import { silentLogger } from "../../src/base/log.ts";
import {
  isWorkerId,
  parseAgentName,
  type AgentName,
  type GatewayName,
  type Realm,
  type WorkerId,
} from "../../src/base/names.ts";
import { PosternError } from "../../src/base/errors.ts";
import type { AgentRoute } from "../../src/gateway/responder.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { newNonce, type Mailbox } from "../../src/mailbox/mailbox.ts";
import { signingKeyFromSeed, type SigningKey } from "../../src/protocol/keys.ts";
import { MemoryDisk, openMemoryState } from "../../src/state/memory.ts";
import type { State } from "../../src/state/state.ts";
import type { Trust } from "../../src/trust/trust.ts";
import type { Checker } from "./checker.ts";
import { Life, noFaults, type Faults } from "./life.ts";
import { SimStore, type Bucket } from "./sim-store.ts";
import type { World } from "./world.ts";

/** One gateway's machine: what outlives its processes. */
export class Machine {
  readonly name: GatewayName;
  readonly realm: Realm;
  readonly signingKey: SigningKey;
  readonly world: World;
  /** How far this machine's clock is from the world's time. */
  readonly offsetMs: number;
  disk: MemoryDisk;
  trust: Trust | undefined;
  /** Counts up when the home was lost, so that what was told before does not bind what is told after. */
  lives = 0;
  stateWasLost = false;
  hasCollected = false;
  readonly #bucket: Bucket;
  readonly #checker: Checker;
  readonly #faults: () => Faults;
  readonly #alive = new Map<WorkerId, Life>();
  #processes = 0;

  constructor(
    name: GatewayName,
    realm: Realm,
    parts: {
      world: World;
      bucket: Bucket;
      checker: Checker;
      faults: () => Faults;
      maxOffsetMs: number;
    },
  ) {
    this.name = name;
    this.realm = realm;
    this.world = parts.world;
    this.#bucket = parts.bucket;
    this.#checker = parts.checker;
    this.#faults = parts.faults;
    this.offsetMs = this.world.random.integer(-parts.maxOffsetMs, parts.maxOffsetMs);
    this.disk = new MemoryDisk({
      clock: new Life(name, this.world, this.offsetMs, this.#faults).clock,
    });
    this.signingKey = signingKeyFromSeed(this.world.random.bytes(32));
  }

  /** Starts a process: everything it does on disk and in the bucket may fail, and it may die at any of it. */
  boot(): { readonly life: Life; readonly mailbox: Mailbox } {
    const life = new Life(
      `${this.name}#${(this.#processes += 1)}`,
      this.world,
      this.offsetMs,
      this.#faults,
    );
    const random = this.world.random.fork();
    const worker = newNonce(random);
    if (!isWorkerId(worker)) throw new PosternError("INTERNAL", "a nonce is no worker id");
    this.#alive.set(worker, life);
    const mailbox: Mailbox = {
      self: this.name,
      realm: this.realm,
      signingKey: this.signingKey,
      store: new SimStore(this.#bucket, life),
      state: this.#stateOf(life),
      trust: { current: () => this.#trust() },
      liveness: { self: worker, isGone: (other) => this.#alive.get(other)?.alive === false },
      clock: life.clock,
      random,
      log: silentLogger,
    };
    return { life, mailbox };
  }

  /** What an operator does by hand after a loss: no faults, and no process of the gateway at work. */
  async recover(): Promise<void> {
    const life = new Life(`${this.name}#op`, this.world, this.offsetMs, () => noFaults);
    await this.#stateOf(life).recover();
  }

  /** All its processes die at once; what its state had not made durable may be gone. */
  powerOff(): void {
    for (const life of this.#alive.values()) life.end("crashes");
    if (this.world.random.chance(0.5)) this.disk.losePower();
  }

  agents(): ReadonlyMap<AgentName, AgentRoute> {
    const route = (onCrash: "report" | "retry"): AgentRoute => ({
      handler: this.#handler(onCrash),
      maxRunMs: 600_000,
      onCrash,
    });
    return new Map([
      [parseAgentName("report"), route("report")],
      [parseAgentName("retry"), route("retry")],
    ]);
  }

  /** Says a few things, slowly, and then succeeds, fails, or hangs until it is told to stop. */
  #handler(onCrash: "report" | "retry"): Handler {
    return {
      run: async (work, emit, signal) => {
        this.world.note(this.name, `runs ${work.runId} attempt ${work.attempt}`);
        this.#checker.started(work, onCrash);
        const random = this.world.random.fork();
        const steps = random.integer(0, 4);
        for (let step = 0; step < steps && !signal.aborted; step += 1) {
          const text = `${work.runId}/${work.attempt}/${step}`;
          this.#checker.emitted(work, text);
          await emit({ event: "textDelta", payload: { text } });
          await this.#wait(random.integer(0, 2000), signal);
        }
        if (random.chance(0.05)) await this.#wait(random.integer(0, 3_600_000), signal);
        if (random.chance(0.1)) throw new PosternError("HANDLER_FAILED", "simulated");
        return { result: { of: work.runId } };
      },
    };
  }

  /** Handlers live in their process, but their time is the world's: what they await dies with nobody. */
  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.world.schedule(ms, resolve);
      signal.addEventListener("abort", () => this.world.schedule(0, resolve), { once: true });
    });
  }

  #trust(): Trust {
    if (this.trust === undefined)
      throw new PosternError("TRUST_INVALID", "simulated: no trust document");
    return this.trust;
  }

  /** The machine's state as one process has it: each step is one operation, and is looked at by the checker. */
  #stateOf(life: Life): State {
    return new Proxy(openMemoryState({ clock: life.clock, disk: this.disk }), {
      get: (state, name) => {
        const method: unknown = Reflect.get(state, name);
        if (typeof method !== "function") return method;
        return (...parameters: unknown[]): Promise<unknown> =>
          life.local(`state.${String(name)}`, async () => {
            const answer: unknown = await Reflect.apply(method, state, parameters);
            this.#checker.stepped(this);
            return answer;
          });
      },
    });
  }
}
