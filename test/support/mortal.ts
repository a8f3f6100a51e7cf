import type { Clock } from "../../src/base/clock.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { aroundStore, type StoreCall } from "../../src/store/around.ts";

export interface Mortal {
  readonly box: Mailbox;
  readonly kill: () => void;
}

/**
 * The mailbox of a process that can be killed in the middle of anything: what it awaits then, from the store, the
 * state or the clock, never comes. `onDeath` lets the others see it; `diesAt` kills it right before such a call.
 */
export function mortal(
  box: Mailbox,
  onDeath: () => void,
  diesAt: (call: StoreCall) => boolean = () => false,
): Mortal {
  const { promise: never } = Promise.withResolvers<never>();
  let dead = false;
  const kill = (): void => {
    if (dead) return;
    dead = true;
    onDeath();
  };
  const whileAlive = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } finally {
      if (dead) await never;
    }
  };
  const store = aroundStore(box.store, (call, run) => {
    if (diesAt(call)) kill();
    return dead ? never : whileAlive(run());
  });
  const state = new Proxy(box.state, {
    get: (target, name) => {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...parameters: unknown[]): unknown =>
        dead ? never : whileAlive(Promise.resolve(Reflect.apply(method, target, parameters)));
    },
  });
  const clock: Clock = {
    now: () => box.clock.now(),
    sleep: (ms, signal) => whileAlive(box.clock.sleep(ms, signal)),
  };
  return { box: { ...box, store, state, clock }, kill };
}
