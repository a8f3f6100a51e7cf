import type { Store } from "./store.ts";

/** One call of a store's method, as decorators see it. */
export interface StoreCall {
  readonly operation: "get" | "put" | "list" | "delete";
  /** The key, or the prefix of a list. */
  readonly name: string;
  readonly signal: AbortSignal | undefined;
}

/** What a call came to, for counting and logging. */
export interface StoreOutcome {
  /** `found`, `absent`, `too-large`, `created`, `exists`, `listed` or `deleted`. */
  readonly answer: string;
  /** Bytes of the object that were sent or received. */
  readonly bytes: number;
  /** Keys that a page holds. */
  readonly keys: number;
}

/**
 * What a decorator does with a call: `run` performs it, as often as it is called; `outcomeOf` reads its
 * result. Whatever this throws, the caller gets.
 */
export type Around = <Result>(
  call: StoreCall,
  run: () => Promise<Result>,
  outcomeOf: (result: Result) => StoreOutcome,
) => Promise<Result>;

/** The same store, every call led through `around`. */
export function aroundStore(store: Store, around: Around): Store {
  return {
    capabilities: store.capabilities,
    get: (key, options) =>
      around(
        { operation: "get", name: key, signal: options.signal },
        () => store.get(key, options),
        (result) => outcome(result.status, result.status === "found" ? result.bytes.length : 0),
      ),
    put: (key, bytes, options) =>
      around(
        { operation: "put", name: key, signal: options?.signal },
        () => store.put(key, bytes, options),
        (result) => outcome(result, bytes.length),
      ),
    list: (query, options) =>
      around(
        { operation: "list", name: query.prefix, signal: options?.signal },
        () => store.list(query, options),
        (result) => outcome("listed", 0, result.entries.length),
      ),
    delete: (key, options) =>
      around(
        { operation: "delete", name: key, signal: options?.signal },
        () => store.delete(key, options),
        () => outcome("deleted", 0),
      ),
    close: () => store.close(),
  };
}

function outcome(answer: string, bytes: number, keys = 0): StoreOutcome {
  return { answer, bytes, keys };
}
