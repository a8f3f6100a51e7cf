import type { Clock } from "../base/clock.ts";
import { PosternError, type ErrorCode } from "../base/errors.ts";
import { aroundStore, type StoreCall } from "./around.ts";
import type { Store } from "./store.ts";

/** What goes wrong with one call. The parts combine: a call may be delayed, repeated and fail. */
export interface Fault {
  /** Waits so long before the operation takes effect. */
  readonly delayMs?: number;
  /** Performs the operation once more, as a network that repeats requests; the caller gets the last answer. */
  readonly repeat?: boolean;
  /**
   * The caller's rejection: `before` the operation, which then never happens; `after` it took effect, as
   * when a response is lost; `early`: at once, while the operation still takes effect later.
   */
  readonly fail?: { readonly when: "before" | "after" | "early"; readonly code: ErrorCode };
}

/** Decides about each call; undefined leaves it alone. `count` is 1 for the first call of the store. */
export type FaultPlan = (call: StoreCall, count: number) => Fault | undefined;

export interface FaultyStore {
  readonly store: Store;
  /** Resolves once every operation that a caller gave up `early` has ended. */
  readonly settled: () => Promise<void>;
}

/** A store that fails as a network and a disk do, on command. */
export function faultStore(store: Store, clock: Clock, plan: FaultPlan): FaultyStore {
  const late = new Set<Promise<unknown>>();
  let count = 0;
  const faulty = aroundStore(store, async (call, run) => {
    const { delayMs, repeat = false, fail } = plan(call, ++count) ?? {};
    const perform = async () => {
      if (delayMs !== undefined) await clock.sleep(delayMs, call.signal);
      if (repeat) await run();
      return await run();
    };
    if (fail === undefined) return await perform();
    if (fail.when === "early") {
      // Nobody is left to be told how it ended.
      const ending: Promise<unknown> = perform()
        .catch(() => undefined)
        .finally(() => late.delete(ending));
      late.add(ending);
    }
    if (fail.when === "after") await perform();
    throw new PosternError(
      fail.code,
      `${call.operation} ${call.name}: injected failure (${fail.when})`,
    );
  });
  return {
    store: faulty,
    settled: async () => {
      while (late.size > 0) await Promise.all(late);
    },
  };
}
