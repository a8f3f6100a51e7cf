import { parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { limits } from "../../src/base/limits.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import { goAway } from "./absence.ts";
import { askLater } from "./asking.ts";
import { Checker } from "./checker.ts";
import { troubleHomes } from "./home-trouble.ts";
import { harass, troubleStore } from "./hostile.ts";
import type { Counts } from "./ledger.ts";
import type { Life } from "./life.ts";
import { Machine } from "./machine.ts";
import { troublePeers } from "./rogue.ts";
import { SimClock } from "./sim-clock.ts";
import { Bucket } from "./sim-store.ts";
import { minute, Stage, troubledMs } from "./stage.ts";
import { Strikes } from "./strikes.ts";
import { trust, troubleTrust } from "./trust-trouble.ts";
import { bucketLies, drawWeather } from "./weather.ts";
import { pollUntil, releaseBetween, tidyLater, workUntil } from "./working.ts";
import { World, type WorldOptions } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  readonly trace: readonly string[];
  /** The trace's lines that a person would tell. */
  readonly story: readonly string[];
  readonly violations: readonly string[];
  /** What happened and could have been left out. */
  readonly happened: readonly string[];
  readonly counts: Counts;
}

/** By then everything that can come to an end has done so: runs, their grace, and the longest pause. */
const quietMs = 180 * minute;
const quietSliceMs = 15 * minute;
const forgottenMs = limits.retentionMs + 2 * 24 * 60 * minute;

/** Gateways that ask each other, through a bucket, while everything goes wrong; then quiet; then years. */
export class Scenario {
  readonly #world: World;
  readonly #stage: Stage;

  constructor(seed: number, options: WorldOptions) {
    this.#world = new World(seed, options);
    const world = this.#world;
    const weather = drawWeather(world.random);
    const checker = new Checker(world, weather);
    const bucket = new Bucket(world);
    this.#stage = new Stage({ world, weather, checker, bucket });
    const strikes = new Strikes(this.#stage);
    const onReceipt = (machine: Machine, life: Life, receipt: Receipt): void => {
      this.#stage.reached(machine, life, receipt.state);
      strikes.committed(machine, life, receipt);
    };
    const onLook = (machine: Machine, life: Life): void => {
      this.#stage.reached(machine, life, "a look");
    };
    const realm = parseRealm("sim");
    for (const label of ["asker", "doer", "other"].slice(0, weather.gateways)) {
      const signingKey = signingKeyFromSeed(world.randomOf(`${label} key`).bytes(32));
      const clock = new SimClock(world, label, weather.clocks);
      const name = parseGatewayName(label);
      const { faults } = this.#stage;
      const parts = { label, name, realm, signingKey, world, bucket, checker, clock, faults };
      const machine = new Machine({ ...parts, onReceipt, onLook });
      checker.watch(machine);
      this.#stage.machines.push(machine);
    }
    for (const machine of this.#stage.machines) trust(this.#stage, machine, 1);
  }

  async run(): Promise<Outcome> {
    const world = this.#world;
    world.note("world", JSON.stringify(this.#stage.weather));
    this.#beginTrouble();
    await world.pass(troubledMs);
    await goAway(this.#stage);
    await this.#becomeQuiet();
    await this.#resurrect();
    const { seed, trace, story, violations, happened } = world;
    return { seed, trace, story, violations, happened, counts: this.#stage.checker.counts };
  }

  #beginTrouble(): void {
    const stage = this.#stage;
    const { machines, weather } = stage;
    for (const [index, from] of machines.entries())
      for (const [other, to] of machines.entries())
        if (from !== to) askLater(stage, from, to, index === 0 && other === 1 ? 4 : 1);
    for (const machine of machines) {
      workUntil(stage, machine, { name: "early", durationMs: troubledMs, everyMs: minute });
      tidyLater(stage, machine, troubledMs, "early");
      if (weather.hostility !== "none") releaseBetween(stage, machine, 0, troubledMs);
      if (weather.clocks === "stepping") machine.clock.stepLater(machine.label, troubledMs);
    }
    if (weather.clocks === "wild")
      this.#world.random.pick(machines)?.clock.strayLater("somebody", troubledMs);
    harass(stage);
    troubleStore(stage);
    troublePeers(stage);
    troubleTrust(stage);
    troubleHomes(stage);
  }

  /** Faults stop; from here on nothing may be left out, so that what does not come to its end is nobody's doing. */
  async #becomeQuiet(): Promise<void> {
    const world = this.#world;
    const { machines, checker, weather } = this.#stage;
    if (world.isOver) return;
    world.tell("world", "is quiet from now on");
    this.#stage.calm();
    const over = new AbortController();
    const quiet = { bucketLied: bucketLies(weather) };
    for (const machine of machines) {
      if (world.randomOf(`${machine.label} quiet`).chance(0.5)) machine.powerOff(true);
      const shift = { name: "quiet", durationMs: quietMs, everyMs: 3 * minute, spared: true };
      workUntil(this.#stage, machine, { ...shift, over: over.signal });
    }
    // Mostly nothing more happens once all is done; but what was late, or stood still, may come much later.
    const isWhole = world.randomOf("quiet").chance(0.2);
    const mayEnd = (): boolean => !isWhole && checker.isQuiet(quiet);
    let leftMs = quietMs;
    do {
      await world.pass(quietSliceMs);
      leftMs -= quietSliceMs;
    } while (leftMs > 0 && !mayEnd());
    // A run of unknown outcome is looked for rarely by passes; whoever asks for it gets a late answer at once.
    for (const [index, { machine, runId }] of this.#stage.runs.entries())
      this.#stage.process(machine, `late${index}`, (mailbox) =>
        this.#stage.follow(machine, mailbox, runId, minute),
      );
    await world.pass(2 * minute);
    // One that has begun to answer, and never ends, is open until it has been silent for too long.
    while (leftMs > 0 && !checker.isQuiet(quiet)) {
      await world.pass(quietSliceMs);
      leftMs -= quietSliceMs;
    }
    over.abort();
    if (weather.clocks !== "wild" && !world.isOver) checker.checkQuiet(quiet);
  }

  /** Long after what is over was collected, a hostile bucket brings all old requests back: none may run again. */
  async #resurrect(): Promise<void> {
    const world = this.#world;
    const { machines, bucket } = this.#stage;
    await world.pass(forgottenMs);
    if (world.isOver) return;
    world.tell("world", "is nine days older now");
    const shift = { durationMs: 10 * minute, everyMs: 3 * minute, spared: true };
    for (const machine of machines) {
      pollUntil(this.#stage, machine, { ...shift, name: "older" });
      tidyLater(this.#stage, machine, 10 * minute, "older");
    }
    await world.pass(15 * minute);
    world.tell("bucket", "brings back every request that ever was");
    for (const { key, bytes } of bucket.past) if (key.includes("/inbox/")) bucket.put(key, bytes);
    for (const machine of machines) pollUntil(this.#stage, machine, { ...shift, name: "oldest" });
    await world.pass(15 * minute);
  }
}
