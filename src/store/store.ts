import type { ErrorCode } from "../base/errors.ts";
import type { ObjectKey } from "../base/names.ts";

/**
 * The shared store: a bucket, or a folder. Objects are written once, if-absent, and never overwritten;
 * nobody believes an object for where it lies. Keys are below the store's own prefix.
 *
 * Every method rejects with a `PosternError` of class `store` (`STORE_UNREACHABLE`, `STORE_DENIED`,
 * `STORE_MISSING`, `STORE_BUSY`, `STORE_CLOCK_SKEW`, `STORE_FULL`, `STORE_READ_ONLY`, `STORE_CHANGED`,
 * `STORE_ENCODING`, `STORE_UNSAFE`, `STORE_FAILED`; `STORE_ABORTED` when the signal ended the call), or
 * with `STORE_KEY_INVALID` for a key or prefix that no store takes (see `store/key.ts`), and with nothing
 * else. After a rejection of `put` or `delete` the operation may or may not have taken effect.
 */
export interface Store {
  readonly capabilities: StoreCapabilities;
  /** The object's bytes, counted while they are received: past `maxBytes` reading stops. */
  get(key: ObjectKey, options: GetOptions): Promise<GetResult>;
  /** Writes the whole object if no object has that key; otherwise changes nothing and says `exists`. */
  put(key: ObjectKey, bytes: Uint8Array, options?: CallOptions): Promise<PutResult>;
  /** Keys below `prefix`, in ascending order of their bytes. */
  list(query: ListQuery, options?: CallOptions): Promise<ListPage>;
  /** Removes the object if there is one; an absent object is no error. */
  delete(key: ObjectKey, options?: CallOptions): Promise<void>;
  /** Lets go of connections; the store is not used afterwards. */
  close(): Promise<void>;
}

export interface StoreCapabilities {
  /** `memory`, `file` or `s3`. */
  readonly driver: string;
  /** A store URL without secrets, for people. */
  readonly location: string;
  /**
   * Whether two concurrent puts of one key have exactly one winner, as the driver knows by construction
   * (`yes`, `no`) or only a probe can tell (`probe`: see `store/probe.ts`).
   */
  readonly atomicPut: "yes" | "no" | "probe";
  /** What tells this store from another one at the same place, where the store itself carries that (`file`). */
  readonly id?: string;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface GetOptions extends CallOptions {
  readonly maxBytes: number;
}

export type GetResult =
  | { readonly status: "found"; readonly bytes: Uint8Array }
  | { readonly status: "absent" }
  /** `size` in bytes, as far as the store says; at least `maxBytes + 1`. */
  | { readonly status: "too-large"; readonly size: number };

export type PutResult = "created" | "exists";

export interface ListQuery {
  /** A plain text prefix, not necessarily a whole path segment. */
  readonly prefix: string;
  /** Only keys after this one; any text, also a raw name from an earlier page. */
  readonly startAfter?: string;
  /** At most so many keys, 1 to 1000. */
  readonly limit: number;
}

export interface ListPage {
  /** Raw names as the store has them: not yet known to be keys of ours. */
  readonly entries: readonly ListEntry[];
  /** Whether more keys may follow the last entry; never without an entry to go on from. */
  readonly more: boolean;
}

export interface ListEntry {
  readonly key: string;
  readonly size: number;
  /** Milliseconds since 1970 by the store's clock. */
  readonly modifiedMs: number;
}

/** Codes of a store that fails as a whole; any other failure may be that of one object or one permission. */
export const wholeStoreCodes: ReadonlySet<ErrorCode> = new Set([
  "STORE_UNREACHABLE",
  "STORE_BUSY",
  "STORE_MISSING",
  "STORE_CHANGED",
  "STORE_CLOCK_SKEW",
]);

/** Codes after which the same call may succeed a moment later. */
export const retryableStoreCodes: ReadonlySet<ErrorCode> = new Set([
  "STORE_UNREACHABLE",
  "STORE_BUSY",
]);
