import { limits } from "../../src/base/limits.ts";
import type { World } from "./world.ts";

/**
 * `steady`: off by the same all the time. `drifting`: the difference grows and shrinks. `stepping`: set forward
 * and back as well. `wild`: one machine's is off by days for a while.
 */
export type ClockWeather = "steady" | "drifting" | "stepping" | "wild";

/** No two clocks differ by as much as the skew that the protocol allows. */
const mostMs = limits.skewMs / 2 - 1000;
const day = 86_400_000;

/** One machine's clock, as far as it is from the world's time. */
export class SimClock {
  readonly #world: World;
  readonly #slope: number;
  #baseMs: number;
  #astrayMs = 0;

  constructor(world: World, name: string, weather: ClockWeather) {
    const random = world.randomOf(`${name} clock`);
    this.#world = world;
    this.#baseMs = random.integer(-mostMs, mostMs);
    this.#slope = weather === "steady" ? 0 : (random.fraction() - 0.5) / 20;
  }

  /** Drift that has come to the bound stays there: whatever keeps clocks together holds it. */
  readonly offsetMs = (): number => {
    const driftedMs = this.#baseMs + this.#slope * this.#world.elapsedMs;
    return this.#astrayMs + Math.max(-mostMs, Math.min(mostMs, driftedMs));
  };

  /** Sets the clock now and then, within the bound. */
  stepLater(name: string, durationMs: number): void {
    const random = this.#world.randomOf(`${name} steps`);
    for (let step = random.integer(1, 3); step > 0; step -= 1) {
      const toMs = random.integer(-mostMs, mostMs);
      this.#world.plan(random.integer(0, durationMs), `${name} clock step ${step}`, () => {
        const before = this.offsetMs();
        this.#baseMs = toMs - this.#slope * this.#world.elapsedMs;
        this.#world.tell(name, `sets its clock by ${Math.round((toMs - before) / 1000)} s`);
      });
    }
  }

  /** Goes astray by days, either way, and is put right again. */
  strayLater(name: string, durationMs: number): void {
    const random = this.#world.randomOf(`${name} strays`);
    const sinceMs = random.integer(0, durationMs / 2);
    const lastsMs = random.integer(0, durationMs / 2);
    const days = (random.fraction() - 0.5) * random.pick([0.1, 2, 40] as const);
    this.#world.plan(sinceMs, `${name} clock astray`, () => {
      this.#astrayMs = days * day;
      this.#world.tell(name, `has a clock that is wrong by ${days.toFixed(2)} days from now on`);
      this.#world.schedule(lastsMs, () => {
        this.#astrayMs = 0;
        this.#world.tell(name, "has its clock put right");
      });
    });
  }
}
