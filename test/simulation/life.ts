import type { Clock } from "../../src/base/clock.ts";
import { asPosternError, PosternError } from "../../src/base/errors.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { World } from "./world.ts";

/** How often things go wrong, each a probability for one operation. */
export interface Faults {
  readonly failBefore: number;
  readonly failAfter: number;
  readonly late: number;
  readonly repeat: number;
  readonly crash: number;
  readonly pause: number;
  /** A pause right before a decision about a run, for which everything has been looked at. */
  readonly hesitate: number;
}

export const noFaults: Faults = {
  failBefore: 0,
  failAfter: 0,
  late: 0,
  repeat: 0,
  crash: 0,
  pause: 0,
  hesitate: 0,
};

export interface LifeParts {
  readonly world: World;
  /** How far this machine's clock is from the world's time at this moment. */
  readonly offsetMs: () => number;
  readonly faults: () => Faults;
}

/** One process, from its start to its exit or crash. What it awaits after its death never comes. */
export class Life {
  readonly name: string;
  readonly world: World;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly #faults: () => Faults;
  #alive = true;
  #pausedUntilMs = 0;
  #paused = false;
  #operations = 0;

  constructor(name: string, { world, offsetMs, faults }: LifeParts) {
    this.name = name;
    this.world = world;
    this.random = world.randomOf(name);
    this.#faults = faults;
    this.clock = {
      now: () => Math.floor(world.nowMs + offsetMs()),
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Whether it ever stood still: then what it does may be old. */
  get wasPaused(): boolean {
    return this.#paused;
  }

  end(how: "exits" | "crashes"): void {
    if (!this.#alive) return;
    this.#alive = false;
    if (how === "crashes") this.world.tell(this.name, how);
    else this.world.note(this.name, how);
  }

  /** An operation on what only this machine has: it takes effect once or not at all. */
  local<T>(label: string, apply: () => Promise<T>): Promise<T> {
    const { random } = this;
    const faults = this.#faults();
    const fate = this.#fate(label, [
      ["crash-before", faults.crash],
      ["crash-after", faults.crash],
      ["fail-before", faults.failBefore / 4],
      ["pause", label === "state.stepRun" ? faults.hesitate : 0],
    ]);
    if (fate === "pause") this.pauseFor(this.#pauseMs(), `before ${label}`);
    return new Promise((resolve, reject) => {
      this.whenAwake(random.integer(0, 3), () => {
        if (fate === "crash-before") return this.#crash(`before ${label}`);
        if (fate === "fail-before") {
          this.world.tell(this.name, `finds its state busy at ${label}`);
          return reject(new PosternError("STATE_BUSY", `simulated: ${label}`));
        }
        apply().then(
          (value) => {
            if (fate === "crash-after") return this.#crash(`after ${label}`);
            if (this.#alive) resolve(value);
          },
          (error: unknown) => {
            if (this.#alive) reject(asPosternError(error));
          },
        );
      });
    });
  }

  /**
   * A request over the network: it may fail before or after it took effect, be repeated, or take effect long
   * after its sender gave up or died.
   */
  remote<T>(label: string, apply: () => T): Promise<T> {
    const { random } = this;
    const faults = this.#faults();
    const fate = this.#fate(label, [
      ["fail-before", faults.failBefore],
      ["fail-after", faults.failAfter],
      ["late", faults.late],
      ["repeat", faults.repeat],
      ["crash-before", faults.crash],
      ["crash-after", faults.crash],
      ["pause", faults.pause],
    ]);
    const laterMs = random.integer(1000, random.chance(0.2) ? 3_600_000 : 60_000);
    const [thereMs, backMs] = [random.integer(1, 30), random.integer(1, 30)];
    if (fate === "pause") this.pauseFor(this.#pauseMs(), `before ${label}`);
    return new Promise((resolve, reject) => {
      const lost = (): void => {
        this.world.tell(this.name, `is told that ${label} failed (${fate})`);
        reject(new PosternError("STORE_UNREACHABLE", `simulated: ${label} (${fate})`));
      };
      const later = (): void =>
        this.world.schedule(laterMs, () => {
          this.world.tell(this.name, `${fate === "late" ? "late" : "once more"}: ${label}`);
          apply();
        });
      this.whenAwake(thereMs, () => {
        if (fate === "crash-before") return this.#crash(`before ${label}`);
        if (fate === "fail-before") return lost();
        if (fate === "late") {
          later();
          return lost();
        }
        const value = apply();
        if (fate === "repeat") later();
        if (fate === "crash-after") return this.#crash(`after ${label}`);
        this.whenAwake(backMs, () => (fate === "fail-after" ? lost() : resolve(value)));
      });
    });
  }

  /** Runs after a while, unless it has died by then; a paused process does it when it goes on. */
  whenAwake(delayMs: number, run: () => void): void {
    this.world.schedule(delayMs, () => {
      if (!this.#alive) return;
      if (this.world.nowMs < this.#pausedUntilMs)
        return this.whenAwake(this.#pausedUntilMs - this.world.nowMs, run);
      run();
    });
  }

  #fate<Fate extends string>(
    label: string,
    fates: readonly (readonly [Fate, number])[],
  ): Fate | "fine" {
    this.#operations += 1;
    const operation = this.#operations;
    let roll = this.random.fraction();
    for (const [fate, probability] of fates) {
      if (roll < probability)
        return this.world.may(`${this.name}/${operation} ${fate} ${label}`) ? fate : "fine";
      roll -= probability;
    }
    return "fine";
  }

  #crash(where: string): void {
    this.world.tell(this.name, `crashes ${where}`);
    this.#alive = false;
  }

  #pauseMs(): number {
    const { random } = this;
    return random.chance(0.5) ? random.integer(1000, 120_000) : random.integer(600_000, 5_400_000);
  }

  /** As SIGSTOP does, or a closed lid: nothing of this process happens for a while. */
  pauseFor(ms: number, when: string): void {
    this.#paused = true;
    this.#pausedUntilMs = this.world.nowMs + ms;
    this.world.tell(this.name, `stands still for ${Math.round(ms / 1000)} s, ${when}`);
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const wake = (): void => this.whenAwake(0, resolve);
      signal?.addEventListener("abort", wake, { once: true });
      this.whenAwake(ms, () => {
        signal?.removeEventListener("abort", wake);
        resolve();
      });
    });
  }
}
