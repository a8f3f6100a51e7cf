import { compareNames } from "../../src/store/key.ts";
import type { ObjectKey } from "../../src/base/names.ts";
import type {
  GetOptions,
  GetResult,
  ListPage,
  ListQuery,
  PutResult,
  Store,
  StoreCapabilities,
} from "../../src/store/store.ts";
import type { Life } from "./life.ts";
import type { World } from "./world.ts";

interface Stored {
  readonly bytes: Uint8Array;
  readonly modifiedMs: number;
}

/** What happened to an object, told to whoever watches the bucket. */
export interface BucketWatch {
  onPut(key: string, bytes: Uint8Array): void;
  onRead(key: string, bytes: Uint8Array, by: string): void;
  onDelete(key: string, bytes: Uint8Array, by: string): void;
}

/** The objects themselves, shared by all; and the hand of a hostile one who holds the bucket. */
export class Bucket {
  readonly #world: World;
  readonly #watch: BucketWatch;
  readonly objects = new Map<string, Stored>();
  /** Everything that was ever stored, for those who would bring it back. */
  readonly past: { readonly key: string; readonly bytes: Uint8Array }[] = [];

  constructor(world: World, watch: BucketWatch) {
    this.#world = world;
    this.#watch = watch;
  }

  put(key: string, bytes: Uint8Array): PutResult {
    if (this.objects.has(key)) return "exists";
    this.objects.set(key, { bytes: bytes.slice(), modifiedMs: this.#world.nowMs });
    this.past.push({ key, bytes: bytes.slice() });
    this.#watch.onPut(key, bytes);
    return "created";
  }

  get(key: string, by: string): GetResult {
    const found = this.objects.get(key);
    if (found === undefined) return { status: "absent" };
    this.#watch.onRead(key, found.bytes, by);
    return { status: "found", bytes: found.bytes.slice() };
  }

  delete(key: string, by: string): void {
    const found = this.objects.get(key);
    if (found === undefined) return;
    this.objects.delete(key);
    this.#watch.onDelete(key, found.bytes, by);
  }

  list({ prefix, startAfter, limit }: ListQuery): ListPage {
    const keys = [...this.objects.keys()]
      .filter(
        (key) =>
          key.startsWith(prefix) && (startAfter === undefined || compareNames(key, startAfter) > 0),
      )
      .toSorted(compareNames);
    const entries = keys.slice(0, limit).map((key) => {
      const { bytes, modifiedMs } = this.objects.get(key) ?? {
        bytes: new Uint8Array(),
        modifiedMs: 0,
      };
      return { key, size: bytes.length, modifiedMs };
    });
    return { entries, more: keys.length > limit };
  }

  /** What only the bucket's holder can do: overwrite. */
  forge(key: string, bytes: Uint8Array): void {
    this.#world.note("bucket", `forges ${key}`);
    this.objects.set(key, { bytes, modifiedMs: this.#world.nowMs });
  }

  hide(key: string): void {
    this.#world.note("bucket", `hides ${key}`);
    this.objects.delete(key);
  }
}

/** One process's way to the bucket. */
export class SimStore implements Store {
  readonly capabilities: StoreCapabilities = {
    driver: "simulated",
    location: "simulated",
    atomicPut: "yes",
  };
  readonly #bucket: Bucket;
  readonly #life: Life;

  constructor(bucket: Bucket, life: Life) {
    this.#bucket = bucket;
    this.#life = life;
  }

  get(key: ObjectKey, options: GetOptions): Promise<GetResult> {
    return this.#request(`get ${key}`, () => {
      const got = this.#bucket.get(key, this.#life.name);
      if (got.status === "found" && got.bytes.length > options.maxBytes) {
        return { status: "too-large", size: got.bytes.length };
      }
      return got;
    });
  }

  put(key: ObjectKey, bytes: Uint8Array): Promise<PutResult> {
    return this.#request(`put ${key}`, () => this.#bucket.put(key, bytes));
  }

  list(query: ListQuery): Promise<ListPage> {
    // A page may be shorter than asked for, as long as it says that more may follow.
    const { random } = this.#life.world;
    const limit = random.chance(0.2) ? random.integer(1, 3) : query.limit;
    return this.#request(`list ${query.prefix}`, () => this.#bucket.list({ ...query, limit }));
  }

  delete(key: ObjectKey): Promise<void> {
    return this.#request(`delete ${key}`, () => this.#bucket.delete(key, this.#life.name));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #request<T>(label: string, apply: () => T): Promise<T> {
    return this.#life.remote(label, () => {
      const value = apply();
      this.#life.world.note(this.#life.name, `${label} -> ${describe(value)}`);
      return value;
    });
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return "done";
  if ("status" in value) return String(value.status);
  return "entries" in value && Array.isArray(value.entries)
    ? `${value.entries.length} keys`
    : "done";
}
