import { systemClock, type Clock } from "../../src/base/clock.ts";

/** No machine is slower than others by so much. */
const patience = 60;

/**
 * The machine's clock, set forward as far as one likes. Who waits for something to happen, and would do something
 * else after a while, waits much longer than on that one: what was begun comes to its end first, however busy the
 * machine is. Nothing for services, nor for handlers that say something bit by bit: they live by such waits.
 */
export class PatientClock implements Clock {
  #aheadMs = 0;

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(signal === undefined ? ms : patience * ms, signal);
  }

  advance(ms: number): void {
    this.#aheadMs += ms;
  }
}
