import { aroundStore, type StoreCall } from "./around.ts";
import type { Store } from "./store.ts";

export interface OperationCount {
  readonly requests: number;
  readonly failures: number;
  /** Bytes of objects sent or received by the requests that succeeded. */
  readonly bytes: number;
}

export type StoreCounts = Readonly<Record<StoreCall["operation"], OperationCount>>;

/** Requests as providers bill them. */
export interface RequestClasses {
  /** `put` and `list`. */
  readonly putClass: number;
  readonly getClass: number;
  readonly deletes: number;
}

export interface StoreMeter {
  /** The metered store. */
  readonly store: Store;
  /** What has been counted so far; a value that no longer changes. */
  readonly counts: () => StoreCounts;
}

const zero: OperationCount = { requests: 0, failures: 0, bytes: 0 };

/** Counts the requests to a store. Below `retryStore` it counts every attempt, above it every call. */
export function meterStore(store: Store): StoreMeter {
  let counts: StoreCounts = { get: zero, put: zero, list: zero, delete: zero };
  const add = (operation: StoreCall["operation"], more: Partial<OperationCount>): void => {
    const { requests, failures, bytes } = counts[operation];
    counts = {
      ...counts,
      [operation]: {
        requests: requests + (more.requests ?? 0),
        failures: failures + (more.failures ?? 0),
        bytes: bytes + (more.bytes ?? 0),
      },
    };
  };
  const metered = aroundStore(store, async ({ operation }, run, outcomeOf) => {
    add(operation, { requests: 1 });
    try {
      const result = await run();
      add(operation, { bytes: outcomeOf(result).bytes });
      return result;
    } catch (thrown) {
      add(operation, { failures: 1 });
      throw thrown;
    }
  });
  return { store: metered, counts: () => counts };
}

export function requestClasses(counts: StoreCounts): RequestClasses {
  return {
    putClass: counts.put.requests + counts.list.requests,
    getClass: counts.get.requests,
    deletes: counts.delete.requests,
  };
}
