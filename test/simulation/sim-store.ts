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
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

interface Stored {
  readonly bytes: Uint8Array;
  readonly modifiedMs: number;
}

/** Who uses the bucket. */
export interface User {
  readonly machine: Machine;
  readonly life: Life;
}

/** What happened to an object, told to whoever watches the bucket. */
export interface BucketWatch {
  /** A process asks for this put, whatever comes of it. */
  onTry(key: string, bytes: Uint8Array, by: User): void;
  /** The object was created. */
  onPut(key: string, bytes: Uint8Array, by: User): void;
  onRead(key: string, bytes: Uint8Array, by: User): void;
  /** What a process read there last. */
  readBy(key: string, by: User): Uint8Array | undefined;
  /** The object was deleted; `read` is what its reader had read there when it asked for that. */
  onDelete(key: string, by: User, read: Uint8Array | undefined): void;
}

/** When an object of this name lay there last. */
interface Spell {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly size: number;
}

const isOwnerKey = (key: string): boolean => key.includes("/owner/");

/** The objects themselves, shared by all; and the hand of a hostile one who holds the bucket. */
export class Bucket {
  readonly #world: World;
  readonly objects = new Map<string, Stored>();
  /** Everything that was ever stored, for those who would bring it back. */
  readonly past: { readonly key: string; readonly bytes: Uint8Array }[] = [];
  /** Machines that are shown a bucket of their own for a while, by label. */
  readonly #forks = new Map<string, Map<string, Stored>>();
  readonly #spells = new Map<string, Spell>();
  /** How far listings are behind at this moment; owner keys aside. */
  listingLagMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  put(key: string, bytes: Uint8Array, label?: string): PutResult {
    const objects = this.#seenBy(label, key);
    if (objects.has(key)) return "exists";
    const own = bytes.slice();
    objects.set(key, { bytes: own, modifiedMs: this.#world.nowMs });
    this.past.push({ key, bytes: own });
    this.#appears(key, own.length);
    return "created";
  }

  get(key: string, label: string): Uint8Array | undefined {
    return this.#seenBy(label, key).get(key)?.bytes;
  }

  /** Whether there was one. */
  delete(key: string, label: string): boolean {
    const gone = this.#seenBy(label, key).delete(key);
    if (gone) this.#disappears(key);
    return gone;
  }

  list({ prefix, startAfter, limit }: ListQuery, label: string): ListPage {
    const objects = this.#forks.get(label) ?? this.objects;
    const keys = this.#keysOf(objects, prefix, startAfter).toSorted(compareNames);
    const entries = keys.slice(0, limit).map((key) => {
      const stored = (isOwnerKey(key) ? this.objects : objects).get(key);
      const size = stored?.bytes.length ?? this.#spells.get(key)?.size ?? 0;
      return { key, size, modifiedMs: stored?.modifiedMs ?? this.#world.nowMs };
    });
    return { entries, more: keys.length > limit };
  }

  #keysOf(objects: Map<string, Stored>, prefix: string, startAfter: string | undefined): string[] {
    const isListed = (key: string): boolean =>
      key.startsWith(prefix) && (startAfter === undefined || compareNames(key, startAfter) > 0);
    if (prefix.endsWith("/owner/")) return [...this.objects.keys()].filter(isListed);
    if (this.listingLagMs === 0) return [...objects.keys()].filter(isListed);
    const asOfMs = this.#world.nowMs - this.listingLagMs;
    return [...this.#spells]
      .filter(
        ([key, { sinceMs, untilMs }]) => isListed(key) && sinceMs <= asOfMs && asOfMs < untilMs,
      )
      .map(([key]) => key);
  }

  #appears(key: string, size: number): void {
    this.#spells.set(key, { sinceMs: this.#world.nowMs, untilMs: Infinity, size });
  }

  #disappears(key: string): void {
    const spell = this.#spells.get(key);
    if (spell !== undefined) this.#spells.set(key, { ...spell, untilMs: this.#world.nowMs });
  }

  /** What only the bucket's holder can do: overwrite. */
  forge(key: string, bytes: Uint8Array): void {
    this.objects.set(key, { bytes, modifiedMs: this.#world.nowMs });
    this.#appears(key, bytes.length);
  }

  hide(key: string): void {
    this.objects.delete(key);
    this.#disappears(key);
  }

  /**
   * From now on one machine reads and writes a bucket of its own, which begins as the real one is; of the keys
   * that prove which state serves a name there is only one kind of view, because SPEC.md says that they must be seen.
   */
  fork(label: string): void {
    if (!this.#forks.has(label)) this.#forks.set(label, new Map(this.objects));
  }

  /** All see the same again: whatever either view has, what was deleted in one of them too. */
  join(label: string): void {
    const fork = this.#forks.get(label);
    this.#forks.delete(label);
    for (const [key, stored] of fork ?? []) {
      if (isOwnerKey(key) || this.objects.has(key)) continue;
      this.objects.set(key, stored);
      this.#appears(key, stored.bytes.length);
    }
  }

  #seenBy(label: string | undefined, key: string): Map<string, Stored> {
    if (label === undefined || isOwnerKey(key)) return this.objects;
    return this.#forks.get(label) ?? this.objects;
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
  readonly #user: User;
  readonly #watch: BucketWatch;

  constructor(bucket: Bucket, machine: Machine, life: Life, watch: BucketWatch) {
    this.#bucket = bucket;
    this.#user = { machine, life };
    this.#watch = watch;
  }

  get(key: ObjectKey, options: GetOptions): Promise<GetResult> {
    return this.#request<GetResult>(`get ${key}`, () => {
      const bytes = this.#bucket.get(key, this.#label);
      if (bytes === undefined) return { status: "absent" };
      if (bytes.length > options.maxBytes) return { status: "too-large", size: bytes.length };
      this.#watch.onRead(key, bytes, this.#user);
      return { status: "found", bytes: bytes.slice() };
    });
  }

  put(key: ObjectKey, bytes: Uint8Array): Promise<PutResult> {
    this.#watch.onTry(key, bytes, this.#user);
    return this.#request(`put ${key}`, () => {
      const result = this.#bucket.put(key, bytes, this.#label);
      if (result === "created") {
        this.#user.life.world.tell(this.#user.life.name, `puts ${key}`);
        this.#watch.onPut(key, bytes, this.#user);
      }
      return result;
    });
  }

  list(query: ListQuery): Promise<ListPage> {
    // A page may be shorter than asked for, as long as it says that more may follow.
    const { random } = this.#user.life;
    const limit = random.chance(0.2) ? random.integer(1, 3) : query.limit;
    return this.#request(`list ${query.prefix}`, () =>
      this.#bucket.list({ ...query, limit }, this.#label),
    );
  }

  delete(key: ObjectKey): Promise<void> {
    const read = this.#watch.readBy(key, this.#user);
    return this.#request(`delete ${key}`, () => {
      if (!this.#bucket.delete(key, this.#label)) return;
      this.#user.life.world.tell(this.#user.life.name, `deletes ${key}`);
      this.#watch.onDelete(key, this.#user, read);
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get #label(): string {
    return this.#user.machine.label;
  }

  #request<T>(label: string, apply: () => T): Promise<T> {
    const { life } = this.#user;
    return life.remote(label, () => {
      const value = apply();
      if (life.world.traced) life.world.note(life.name, `${label} -> ${describe(value)}`);
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
