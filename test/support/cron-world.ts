import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { asPosternError, type ErrorCode } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { parseAgentName, parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { send, type CallRequest, type Sent } from "../../src/gateway/client.ts";
import { openGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { updateTrust, type Home } from "../../src/gateway/home.ts";
import { initHome } from "../../src/gateway/init-home.ts";
import { machineName } from "../../src/gateway/machine.ts";
import { holdPassLock } from "../../src/gateway/pass-lock.ts";
import { poll, type PollReport } from "../../src/gateway/poll.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import type { State } from "../../src/state/state.ts";
import { aroundStore } from "../../src/store/around.ts";
import { faultStore, type Fault } from "../../src/store/fault.ts";
import { openStore, parseStoreUrl } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";
import { addPeer } from "../../src/trust/edit.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { mortal } from "./mortal.ts";
import { promisesSettled, SteppedClock } from "./stepped-clock.ts";

export const agent = parseAgentName("work");
const realm = parseRealm("test");
/** As in the crontab line of the documents. */
const maxTimeMs = 50_000;

/** What goes wrong while a process is at work; each time counts from its start. */
export interface Trouble {
  /** It is told to stop, as by SIGTERM. */
  readonly stopAfterMs?: number;
  /** The machine loses power. */
  readonly dieAfterMs?: number;
  /** From its call `fromCall` on, for so long, the store cannot be reached. */
  readonly outage?: { readonly fromCall: number; readonly forMs: number };
}

/** How a pass came out: its report, or the code that its command would have ended with; `DIED` without a word. */
export type Passed = PollReport | ErrorCode | "DIED";

/**
 * Real homes with real states and one folder store, in a time of their own. Whatever is done in the store takes
 * its turn and some of that time, so that one seed always leads through the same hour.
 */
export class CronWorld {
  readonly random: SeededRandom;
  readonly clock: SteppedClock;
  readonly folder = mkdtempSync(join(tmpdir(), "postern-cron-"));
  #line: Promise<unknown> = Promise.resolve();
  readonly #steps = new Set<Promise<unknown>>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    // The folder store stamps objects by the machine's own clock.
    const nowMs = Math.floor(Date.now() / 1000) * 1000;
    this.clock = new SteppedClock(nowMs, () => this.#settled());
  }

  get storeUrl(): string {
    return pathToFileURL(join(this.folder, "store")).href;
  }

  /** Two machines whose gateways trust each other with their one agent. */
  async twoMachines(handler: Handler): Promise<readonly [CronMachine, CronMachine]> {
    const { clock, random } = this;
    const store = await openStore(parseStoreUrl(this.storeUrl), { clock, random, create: true });
    await store.close();
    const [one, other] = [await this.#makeHome("north"), await this.#makeHome("south")];
    trust(one, other, clock.now());
    trust(other, one, clock.now());
    return [new CronMachine(this, one, handler), new CronMachine(this, other, handler)];
  }

  #makeHome(name: string): Promise<Home> {
    return initHome({
      home: join(this.folder, name),
      gateway: parseGatewayName(name),
      realm,
      store: this.storeUrl,
      random: this.random.fork(),
      clock: this.clock,
      machine: machineName(),
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The store, one call after the other. */
  inTurn(store: Store): Store {
    return aroundStore(store, (_call, run) => {
      const turn = this.#line.then(run);
      this.#line = turn.catch(() => undefined);
      return turn;
    });
  }

  /** The state, whose steps wait for a real disk: time stands still until they have come to their end. */
  timeless(state: State): State {
    return new Proxy(state, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return (...parameters: unknown[]): unknown => {
          const answer: unknown = Reflect.apply(method, target, parameters);
          const step: Promise<unknown> = Promise.resolve(answer)
            .catch(() => undefined)
            .finally(() => this.#steps.delete(step));
          this.#steps.add(step);
          return answer;
        };
      },
    });
  }

  async #settled(): Promise<void> {
    await promisesSettled();
    for (let line: unknown; line !== this.#line || this.#steps.size > 0;) {
      line = this.#line;
      await line;
      await Promise.all(this.#steps);
      await promisesSettled();
    }
  }
}

function trust({ paths }: Home, peer: Home, nowMs: number): void {
  const { gateway } = peer.config;
  const card = { gateway, realm, keys: [peer.signingKey.publicKey] };
  updateTrust(paths, (before) => addPeer(before, card, { agents: [agent] }, nowMs));
}

/** A machine with one gateway on it. */
export class CronMachine {
  readonly name: Home["config"]["gateway"];
  readonly #world: CronWorld;
  readonly #home: string;
  readonly #handler: Handler;
  readonly #kills = new Set<() => void>();

  constructor(world: CronWorld, { paths, config }: Home, handler: Handler) {
    this.name = config.gateway;
    this.#world = world;
    this.#home = paths.home;
    this.#handler = handler;
  }

  /** `postern poll`. With `thorough` it also does all that a pass does only now and then. */
  pass(trouble: Trouble, thorough: boolean): Promise<Passed> {
    return this.#process(true, trouble, thorough, async (box, gateway, signal, locks) => {
      // As `runPass` does, but the lock has to go when the process dies.
      const lock = locks.use(holdPassLock(gateway.home));
      const route = { handler: this.#handler, maxRunMs: 600_000, onCrash: "report" } as const;
      return poll(box, {
        agents: new Map([[agent, route]]),
        maxConcurrentRuns: gateway.responder.maxConcurrentRuns,
        maxTimeMs,
        signal,
        onAdmissionOver: () => lock[Symbol.dispose](),
      });
    });
  }

  /** `postern send`. */
  send(request: CallRequest, trouble: Trouble): Promise<Sent | ErrorCode | "DIED"> {
    return this.#process(false, trouble, false, (mailbox, { routes }) =>
      send({ mailbox, routes }, request),
    );
  }

  powerOff(): void {
    for (const kill of this.#kills) kill();
  }

  /** For looking at what it remembers. */
  open(): Promise<Gateway> {
    return this.#open(false, false);
  }

  #open(admits: boolean, thorough: boolean): Promise<Gateway> {
    const { clock } = this.#world;
    const own = this.#world.random.fork();
    const random = thorough
      ? { bytes: (length: number) => own.bytes(length), fraction: () => 0 }
      : own;
    return openGateway({ home: this.#home, log: silentLogger, env: {}, admits, clock, random });
  }

  async #process<T>(
    admits: boolean,
    { stopAfterMs, dieAfterMs, outage }: Trouble,
    thorough: boolean,
    work: (
      box: Mailbox,
      gateway: Gateway,
      signal: AbortSignal,
      locks: DisposableStack,
    ) => Promise<T>,
  ): Promise<T | ErrorCode | "DIED"> {
    const { clock } = this.#world;
    await using gateway = await this.#open(admits, thorough);
    // Whoever dies lets go of what it holds, and does nothing else any more.
    using locks = new DisposableStack();
    const faulty = faultStore(this.#world.inTurn(gateway.mailbox.store), clock, this.#plan(outage));
    const death = Promise.withResolvers<"DIED">();
    const state = this.#world.timeless(gateway.mailbox.state);
    const living = { ...gateway.mailbox, store: faulty.store, state };
    const { box, kill } = mortal(living, () => death.resolve("DIED"));
    const stop = new AbortController();
    const done = new AbortController();
    const after = async (ms: number, happen: () => void): Promise<void> => {
      await clock.sleep(ms, done.signal);
      if (!done.signal.aborted) happen();
    };
    if (stopAfterMs !== undefined) void after(stopAfterMs, () => stop.abort());
    if (dieAfterMs !== undefined) void after(dieAfterMs, kill);
    this.#kills.add(kill);
    try {
      return await Promise.race([work(box, gateway, stop.signal, locks), death.promise]);
    } catch (thrown) {
      return asPosternError(thrown).code;
    } finally {
      this.#kills.delete(kill);
      done.abort();
      await faulty.settled();
    }
  }

  #plan(outage: Trouble["outage"]): (call: unknown, count: number) => Fault {
    const { clock } = this.#world;
    const random = this.#world.random.fork();
    let untilMs = Infinity;
    return (_call, count) => {
      const delayMs = random.integer(1, 50);
      if (outage === undefined || count < outage.fromCall) return { delayMs };
      if (count === outage.fromCall) untilMs = clock.now() + outage.forMs;
      if (clock.now() >= untilMs) return { delayMs };
      const when = random.pick(["before", "after", "early"] as const);
      return { delayMs, fail: { when, code: "STORE_UNREACHABLE" } };
    };
  }
}
