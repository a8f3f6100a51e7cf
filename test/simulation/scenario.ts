import { asPosternError, type ErrorCode } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName, parseRealm, type RunId } from "../../src/base/names.ts";
import { ask, deliver } from "../../src/gateway/ask.ts";
import { gc } from "../../src/gateway/gc.ts";
import { poll } from "../../src/gateway/poll.ts";
import { serve } from "../../src/gateway/serve.ts";
import { follow } from "../../src/mailbox/follow.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { runIdOf } from "../../src/protocol/run-id.ts";
import { Checker } from "./checker.ts";
import { noFaults, type Faults, type Life } from "./life.ts";
import { Machine } from "./machine.ts";
import { harass, type Hostility } from "./hostile.ts";
import { Bucket } from "./sim-store.ts";
import { sendRogue } from "./rogue.ts";
import { trustIn } from "./trust.ts";
import { World } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  readonly trace: readonly string[];
  readonly violations: readonly string[];
  readonly counts: Checker["counts"];
}

const minute = 60_000;
const troubledMs = 25 * minute;
const quietMs = 180 * minute;

/** What an honest world may answer to a process; anything else is a fault of ours. */
const expectedCodes: ReadonlySet<ErrorCode> = new Set([
  "STORE_UNREACHABLE",
  "STORE_BUSY",
  "STATE_BUSY",
  "STATE_ELSEWHERE",
  "OWNER_UNCHECKED",
  "CLOCK_BEHIND",
  "IDEMPOTENCY_CONFLICT",
  "RUN_UNKNOWN",
  "FRAME_CHAIN_BROKEN",
  "TRUST_ROLLED_BACK",
  // Asking a peer whose key is revoked at that moment.
  "KEY_REVOKED",
]);

/** One thing to ask, perhaps more than once. */
interface Plan {
  readonly key: string;
  readonly text: string;
  readonly agent: string;
  readonly ttlMs: number;
  readonly deadlineMs?: number;
  readonly tenant?: string;
  /** Whether it names an earlier run that it continues. */
  readonly continuing: boolean;
}

/** `passing`: a peer falls out of favour for a while. `at-first`: it is let in only after it has asked. */
type Mistrust = "none" | "passing" | "at-first";

/** What kind of trouble one seed has in store. */
interface Weather {
  readonly faults: Faults;
  readonly hostility: Hostility;
  readonly mistrust: Mistrust;
  /** Whose home is lost and recovered. */
  readonly loser: "nobody" | "asker" | "doer";
}

/** Two gateways that ask each other, through a bucket, while everything goes wrong; then quiet; then years. */
export class Scenario {
  readonly #seed: number;
  readonly #world: World;
  readonly #checker: Checker;
  readonly #bucket: Bucket;
  readonly #machines: readonly [Machine, Machine];
  readonly #weather: Weather;
  readonly #runs: { readonly machine: Machine; readonly runId: RunId }[] = [];
  #faults: Faults;

  constructor(seed: number) {
    this.#seed = seed;
    this.#world = new World(seed);
    this.#checker = new Checker(this.#world);
    this.#bucket = new Bucket(this.#world, this.#checker);
    this.#weather = this.#drawWeather();
    this.#faults = this.#weather.faults;
    const realm = parseRealm("sim");
    const parts = {
      world: this.#world,
      bucket: this.#bucket,
      checker: this.#checker,
      faults: () => this.#faults,
      maxOffsetMs: limits.skewMs / 2 - 1000,
    };
    this.#machines = [
      new Machine(parseGatewayName("asker"), realm, parts),
      new Machine(parseGatewayName("doer"), realm, parts),
    ];
    for (const machine of this.#machines) this.#checker.watch(machine);
    const [asker, doer] = this.#machines;
    asker.trust = trustIn(asker, doer, 1, "granted");
    doer.trust = trustIn(doer, asker, 1, "granted");
  }

  async run(): Promise<Outcome> {
    const [asker, doer] = this.#machines;
    this.#schedule(asker, doer, 4);
    this.#schedule(doer, asker, 1);
    for (const machine of this.#machines) {
      this.#workUntil(machine, troubledMs, minute);
      this.#tidyLater(machine, troubledMs);
    }
    harass(this.#world, this.#bucket, this.#weather.hostility, troubledMs);
    if (this.#weather.hostility !== "none") this.#sendRogues(asker, doer);
    if (this.#weather.mistrust === "passing") {
      this.#mistrustLater(asker, doer);
      this.#mistrustLater(doer, asker);
    }
    if (this.#weather.mistrust === "at-first") this.#trustLater(doer, asker);
    for (const machine of this.#machines) this.#losePowerLater(machine);
    if (this.#weather.hostility !== "none")
      for (const machine of this.#machines) this.#releaseBetween(machine, 0, troubledMs);
    if (this.#weather.loser !== "nobody") {
      this.#loseStateLater(this.#weather.loser === "asker" ? asker : doer);
    }
    await this.#world.pass(troubledMs);

    this.#world.note("world", "all is quiet now");
    this.#faults = noFaults;
    for (const machine of this.#machines) {
      if (this.#world.random.chance(0.5)) machine.powerOff();
      this.#workUntil(machine, quietMs, 3 * minute);
    }
    await this.#world.pass(quietMs + 10 * minute);
    // A run of unknown outcome is looked for rarely by passes; whoever asks for it gets a late answer at once.
    for (const { machine, runId } of this.#runs) {
      this.#process(machine, (mailbox) => this.#follow(machine, mailbox, runId, minute));
    }
    await this.#world.pass(2 * minute);
    this.#checker.checkQuiet({ bucketLied: this.#weather.hostility === "lies" });
    await this.#resurrect();
    return {
      seed: this.#seed,
      trace: this.#world.trace,
      violations: this.#world.violations,
      counts: this.#checker.counts,
    };
  }

  #drawWeather(): Weather {
    const { random } = this.#world;
    const much = random.pick([0, 0.3, 1, 2] as const);
    // Where both sides lose what they remember, nobody knows a key any more: SPEC.md says so.
    const loser = random.pick(["nobody", "nobody", "nobody", "nobody", "asker", "doer"] as const);
    return {
      faults: {
        failBefore: 0.03 * much,
        failAfter: 0.03 * much,
        late: 0.02 * much,
        repeat: 0.03 * much,
        crash: 0.01 * much,
        pause: 0.006 * much,
      },
      hostility: random.pick(["none", "none", "plants", "lies"] as const),
      mistrust: random.pick(["none", "none", "none", "none", "passing", "at-first"] as const),
      loser,
    };
  }

  /** Asks at random moments: few keys, so that many meet; mostly the same text under a key. */
  #schedule(from: Machine, to: Machine, most: number): void {
    const { random } = this.#world;
    for (let count = random.integer(0, most); count > 0; count -= 1) {
      const key = random.pick(["k1", "k2", "k3"] as const);
      const plan = {
        key,
        text: random.chance(0.85) ? `work ${key}` : `other ${key}`,
        agent: random.chance(0.9) ? (random.chance(0.5) ? "report" : "retry") : "nowhere",
        ttlMs: random.pick([2, 5, 20] as const) * minute,
        ...(random.chance(0.2) ? { deadlineMs: random.integer(1, 10) * minute } : {}),
        ...(random.chance(0.1) ? { tenant: "acme" } : {}),
        continuing: random.chance(0.2),
      };
      const patienceMs = random.integer(0, 10) * minute;
      for (let times = random.integer(1, 2); times > 0; times -= 1) {
        this.#world.schedule(random.integer(0, troubledMs - 5 * minute), () => {
          this.#process(from, (mailbox) => this.#ask(from, to, mailbox, plan, patienceMs));
        });
      }
    }
    for (let count = random.integer(0, 2); count > 0; count -= 1) {
      this.#world.schedule(random.integer(minute, troubledMs), () => this.#watchOrCancel(from));
    }
  }

  async #ask(
    from: Machine,
    to: Machine,
    mailbox: Mailbox,
    plan: Plan,
    patienceMs: number,
  ): Promise<void> {
    const { key, text, agent, continuing, ...rest } = plan;
    const earlier = continuing
      ? this.#world.random.pick(this.#runs.filter((run) => run.machine === from))
      : undefined;
    const runId = runIdOf({
      realm: from.realm,
      caller: from.name,
      tenant: rest.tenant,
      callee: to.name,
      idempotencyKey: key,
    });
    // Known before anything is committed: the process may die right after that.
    this.#checker.asked(runId, text);
    this.#runs.push({ machine: from, runId });
    const asked = await ask(mailbox, new Map(), {
      target: `${to.name}/${agent}`,
      body: { kind: "prompt", prompt: { text } },
      idempotencyKey: key,
      ...rest,
      ...(earlier === undefined ? {} : { continues: earlier.runId }),
    });
    this.#world.note(mailbox.self, `asked ${text} of ${agent} as ${runId}`);
    await deliver(mailbox, asked);
    await this.#follow(from, mailbox, runId, patienceMs);
  }

  async #follow(
    machine: Machine,
    mailbox: Mailbox,
    runId: RunId,
    patienceMs: number,
  ): Promise<void> {
    const patience = new AbortController();
    this.#world.schedule(patienceMs, () => patience.abort());
    const frames: PlacedFrame[] = [];
    const reading = follow(mailbox, runId, { signal: patience.signal });
    for (;;) {
      const step = await reading.next();
      if (step.done === true) {
        if (step.value.status === "closed") this.#checker.told(machine, runId, step.value.terminal);
        return;
      }
      frames.push(step.value);
      this.#checker.yielded(runId, frames);
    }
  }

  #watchOrCancel(machine: Machine): void {
    const known = this.#runs.filter((run) => run.machine === machine);
    const run = this.#world.random.pick(known);
    if (run === undefined) return;
    const cancels = this.#world.random.chance(0.5);
    this.#process(machine, (mailbox) =>
      cancels
        ? cancelRun(mailbox, run.runId)
        : this.#follow(machine, mailbox, run.runId, 5 * minute),
    );
  }

  /** A machine whose gateway is served from cron, by a service, or by both. */
  #workUntil(machine: Machine, durationMs: number, everyMs: number): void {
    const { random } = this.#world;
    const how = random.pick(["cron", "cron", "service", "both"] as const);
    if (how !== "service") this.#pollUntil(machine, durationMs, everyMs);
    if (how !== "cron") this.#serveUntil(machine, this.#world.elapsedMs + durationMs);
  }

  /** A service and its supervisor: stopped now and then, sometimes in haste, and started again whatever it ended by. */
  #serveUntil(machine: Machine, endMs: number): void {
    const { random } = this.#world;
    const [stop, haste] = [new AbortController(), new AbortController()];
    const lastsMs = random.chance(0.5) ? random.integer(0, 10 * minute) : endMs;
    const stopMs = Math.min(lastsMs, Math.max(0, endMs - this.#world.elapsedMs));
    this.#world.schedule(stopMs, () => stop.abort());
    if (random.chance(0.3)) this.#world.schedule(stopMs + 1000, () => haste.abort());
    const life = this.#process(machine, async (mailbox) => {
      await serve(mailbox, {
        agents: machine.agents(),
        maxConcurrentRuns: 2,
        minDelayMs: random.pick([1000, 10_000] as const),
        maxDelayMs: 3 * minute,
        graceMs: random.integer(0, 60_000),
        signal: stop.signal,
        haste: haste.signal,
      });
    });
    const supervise = (): void => {
      if (this.#world.elapsedMs >= endMs) return;
      if (life.alive) this.#world.schedule(minute, supervise);
      else this.#serveUntil(machine, endMs);
    };
    this.#world.schedule(minute, supervise);
  }

  /** An operator who takes retention to its end, whatever else is going on. */
  #tidyLater(machine: Machine, withinMs: number): void {
    const { random } = this.#world;
    for (let count = random.integer(0, 2); count > 0; count -= 1) {
      const dryRun = random.chance(0.2);
      this.#world.schedule(random.integer(0, withinMs), () => {
        this.#process(machine, async (mailbox) => {
          const { problem } = await gc(mailbox, { dryRun, sweepTemporaries: async () => 0 });
          if (problem !== null) throw problem;
        });
      });
    }
  }

  #pollUntil(machine: Machine, durationMs: number, everyMs: number): void {
    const { random } = this.#world;
    for (let atMs = random.integer(0, everyMs); atMs < durationMs; atMs += everyMs) {
      const times = random.chance(0.1) ? 2 : 1;
      const maxRuns = random.chance(0.2) ? 1 : 100;
      for (let count = 0; count < times; count += 1) {
        this.#world.schedule(atMs + random.integer(0, 1000), () => {
          const stop = new AbortController();
          if (random.chance(0.05))
            this.#world.schedule(random.integer(0, 30_000), () => stop.abort());
          const maxTimeMs = random.chance(0.2) ? random.integer(0, 50_000) : Infinity;
          const options = { maxConcurrentRuns: 2, maxRuns, maxTimeMs, signal: stop.signal };
          this.#process(machine, async (mailbox) => {
            await poll(mailbox, { agents: machine.agents(), ...options });
          });
        });
      }
    }
  }

  /** One process from start to end. What it reports must be a code that such trouble explains. */
  #process(machine: Machine, work: (mailbox: Mailbox) => Promise<void>): Life {
    const { life, mailbox } = machine.boot();
    work(mailbox).then(
      () => life.end("exits"),
      (thrown: unknown) => {
        const error = asPosternError(thrown);
        this.#world.note(life.name, `fails with ${error.code}: ${error.message}`);
        if (!expectedCodes.has(error.code)) {
          this.#world.violate(
            "promise 6",
            `${life.name} failed with ${error.code}: ${error.stack ?? error.message}`,
          );
        }
        life.end("exits");
      },
    );
    return life;
  }

  #sendRogues(peer: Machine, victim: Machine): void {
    const { random } = this.#world;
    for (let count = random.integer(1, 3); count > 0; count -= 1) {
      this.#world.schedule(random.integer(0, troubledMs), () =>
        sendRogue(this.#world, this.#bucket, peer, victim),
      );
    }
  }

  /** A key counts only after some time; an operator then lets in what was refused until then. */
  #trustLater(machine: Machine, peer: Machine): void {
    const sinceMs = this.#world.random.integer(2, 15) * minute;
    machine.trust = trustIn(machine, peer, 1, "revoked");
    this.#world.schedule(sinceMs, () => {
      machine.trust = trustIn(machine, peer, 2, "granted");
    });
    this.#releaseBetween(machine, sinceMs, sinceMs + 2 * minute);
  }

  /** An operator releases whatever is in quarantine, once or more often. */
  #releaseBetween(machine: Machine, fromMs: number, toMs: number): void {
    const { random } = this.#world;
    for (let count = random.integer(1, 3); count > 0; count -= 1) {
      this.#world.schedule(random.integer(fromMs, toMs), () => {
        this.#process(machine, async ({ state }) => {
          for (const { id } of await state.quarantined({ limit: 1000 }))
            await state.releaseQuarantined(id);
        });
      });
    }
  }

  /** An operator withdraws a grant or a key, an old document comes back, and all is well again. */
  #mistrustLater(machine: Machine, peer: Machine): void {
    const { random } = this.#world;
    const opinion = random.pick(["ungranted", "revoked"] as const);
    const sinceMs = random.integer(0, troubledMs - 6 * minute);
    const steps = [
      [sinceMs, 3, opinion],
      [sinceMs + random.integer(0, 2) * minute, 2, "granted"],
      [sinceMs + 5 * minute, 4, "granted"],
    ] as const;
    for (const [atMs, version, thinks] of steps) {
      this.#world.schedule(atMs, () => {
        this.#world.note(machine.name, `trusts by version ${version}: ${peer.name} is ${thinks}`);
        machine.trust = trustIn(machine, peer, version, thinks);
      });
    }
  }

  #losePowerLater(machine: Machine): void {
    const { random } = this.#world;
    for (let count = random.pick([0, 0, 1, 3] as const); count > 0; count -= 1) {
      this.#world.schedule(random.integer(0, troubledMs), () => {
        this.#world.note(machine.name, "loses power");
        machine.powerOff();
      });
    }
  }

  /** The home is lost: an older copy is put back, or nothing is left; the operator says `state recover`. */
  #loseStateLater(machine: Machine): void {
    const { random } = this.#world;
    const lossMs = random.integer(5 * minute, troubledMs - 5 * minute);
    let copy = machine.disk.snapshot();
    // Often a copy of the last moments: then some of its runs are open.
    const copyMs = random.chance(0.5)
      ? lossMs - random.integer(0, 3000)
      : random.integer(0, lossMs);
    this.#world.schedule(copyMs, () => {
      copy = machine.disk.snapshot();
    });
    this.#world.schedule(lossMs, () => {
      this.#world.note(machine.name, "loses its state");
      machine.powerOff();
      machine.disk.restore(copy);
      machine.stateWasLost = true;
      machine.lives += 1;
      void machine.recover();
    });
  }

  /** Long after everything was collected, a hostile bucket brings all old requests back: none may run. */
  async #resurrect(): Promise<void> {
    await this.#world.pass(9 * 24 * 60 * minute);
    for (const machine of this.#machines) {
      machine.hasCollected = true;
      this.#pollUntil(machine, 10 * minute, 3 * minute);
      this.#tidyLater(machine, 10 * minute);
    }
    await this.#world.pass(15 * minute);
    const starts = this.#checker.counts.starts;
    for (const { key, bytes } of this.#bucket.past)
      if (key.includes("/inbox/")) this.#bucket.put(key, bytes);
    for (const machine of this.#machines) this.#pollUntil(machine, 10 * minute, 3 * minute);
    await this.#world.pass(15 * minute);
    if (this.#checker.counts.starts > starts)
      this.#world.violate("promise 1", "a resurrected request was run");
  }
}
