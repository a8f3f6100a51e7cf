import type { Clock } from "../../src/base/clock.ts";
import { asPosternError, PosternError } from "../../src/base/errors.ts";
import type { World } from "./world.ts";

/** How often things go wrong, each a probability for one operation. */
export interface Faults {
  readonly failBefore: number;
  readonly failAfter: number;
  readonly late: number;
  readonly repeat: number;
  readonly crash: number;
  readonly pause: number;
}

export const noFaults: Faults = {
  failBefore: 0,
  failAfter: 0,
  late: 0,
  repeat: 0,
  crash: 0,
  pause: 0,
};

/** One process, from its start to its exit or crash. What it awaits after its death never comes. */
export class Life {
  readonly name: string;
  readonly world: World;
  readonly clock: Clock;
  readonly #faults: () => Faults;
  #alive = true;
  #pausedUntilMs = 0;

  /** `offsetMs`: how far this machine's clock is from the world's time. */
  constructor(name: string, world: World, offsetMs: number, faults: () => Faults) {
    this.name = name;
    this.world = world;
    this.#faults = faults;
    this.clock = {
      now: () => Math.floor(world.nowMs + offsetMs),
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  end(how: "exits" | "crashes"): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.world.note(this.name, how);
  }

  /** An operation on what only this machine has: it takes effect once or not at all. */
  local<T>(label: string, apply: () => Promise<T>): Promise<T> {
    const { random } = this.world;
    const faults = this.#faults();
    const crashBefore = random.chance(faults.crash);
    const crashAfter = random.chance(faults.crash);
    const fail = random.chance(faults.failBefore / 4);
    return new Promise((resolve, reject) => {
      this.#whenAwake(random.integer(0, 3), () => {
        if (crashBefore) return this.#crash(`before ${label}`);
        if (fail) return reject(new PosternError("STATE_BUSY", `simulated: ${label}`));
        apply().then(
          (value) => {
            if (crashAfter) return this.#crash(`after ${label}`);
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
    const { random } = this.world;
    const faults = this.#faults();
    const fate = this.#fate(faults);
    const laterMs = random.integer(1000, random.chance(0.2) ? 3_600_000 : 60_000);
    if (random.chance(faults.pause)) this.#pause();
    return new Promise((resolve, reject) => {
      const lost = (): void =>
        reject(new PosternError("STORE_UNREACHABLE", `simulated: ${label} (${fate})`));
      this.#whenAwake(random.integer(1, 30), () => {
        if (fate === "crash-before") return this.#crash(`before ${label}`);
        if (fate === "fail-before") return lost();
        if (fate === "late") {
          this.world.schedule(laterMs, () => {
            this.world.note(this.name, `late: ${label}`);
            apply();
          });
          return lost();
        }
        const value = apply();
        if (fate === "repeat") {
          this.world.schedule(laterMs, () => {
            this.world.note(this.name, `again: ${label}`);
            apply();
          });
        }
        if (fate === "crash-after") return this.#crash(`after ${label}`);
        this.#whenAwake(random.integer(1, 30), () =>
          fate === "fail-after" ? lost() : resolve(value),
        );
      });
    });
  }

  #fate(faults: Faults) {
    let roll = this.world.random.fraction();
    const fates = [
      ["fail-before", faults.failBefore],
      ["fail-after", faults.failAfter],
      ["late", faults.late],
      ["repeat", faults.repeat],
      ["crash-before", faults.crash],
      ["crash-after", faults.crash],
    ] as const;
    for (const [fate, probability] of fates) {
      if (roll < probability) return fate;
      roll -= probability;
    }
    return "fine";
  }

  #crash(where: string): void {
    this.world.note(this.name, `crashes ${where}`);
    this.#alive = false;
  }

  /** As SIGSTOP does, or a closed lid: nothing of this process happens for a while. */
  #pause(): void {
    const { random } = this.world;
    const ms = random.chance(0.5)
      ? random.integer(1000, 120_000)
      : random.integer(600_000, 5_400_000);
    this.#pausedUntilMs = this.world.nowMs + ms;
    this.world.note(this.name, `is paused for ${ms} ms`);
  }

  #whenAwake(delayMs: number, run: () => void): void {
    this.world.schedule(delayMs, () => {
      if (!this.#alive) return;
      if (this.world.nowMs < this.#pausedUntilMs)
        return this.#whenAwake(this.#pausedUntilMs - this.world.nowMs, run);
      run();
    });
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const wake = (): void => this.#whenAwake(0, resolve);
      signal?.addEventListener("abort", wake, { once: true });
      this.#whenAwake(ms, resolve);
    });
  }
}
