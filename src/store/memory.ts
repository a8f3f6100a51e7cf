import type { Clock } from "../base/clock.ts";
import type { ObjectKey } from "../base/names.ts";
import { refuseAborted } from "./abort.ts";
import { checkKey, compareNames } from "./key.ts";
import { emptyPage, readyQuery } from "./query.ts";
import type {
  CallOptions,
  GetOptions,
  GetResult,
  ListPage,
  ListQuery,
  PutResult,
  Store,
  StoreCapabilities,
} from "./store.ts";

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modifiedMs: number;
}

/** A store in this process's memory, for tests and the simulation. */
export class MemoryStore implements Store {
  readonly capabilities: StoreCapabilities = {
    driver: "memory",
    location: "memory:",
    atomicPut: "yes",
  };
  readonly #clock: Clock;
  readonly #objects = new Map<string, StoredObject>();
  /** The names of all objects in listing order. */
  readonly #names: string[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  // The methods are async so that whatever they throw arrives as a rejection, as from any other store.
  async get(key: ObjectKey, { maxBytes, signal }: GetOptions): Promise<GetResult> {
    checkKey(key);
    refuseAborted(signal, `get ${key}`);
    const object = this.#objects.get(key);
    if (object === undefined) return { status: "absent" };
    if (object.bytes.length > maxBytes) return { status: "too-large", size: object.bytes.length };
    return { status: "found", bytes: object.bytes.slice() };
  }

  async put(key: ObjectKey, bytes: Uint8Array, options?: CallOptions): Promise<PutResult> {
    checkKey(key);
    refuseAborted(options?.signal, `put ${key}`);
    if (this.#objects.has(key)) return "exists";
    this.plant(key, bytes);
    return "created";
  }

  async list(query: ListQuery, options?: CallOptions): Promise<ListPage> {
    const ready = readyQuery(query);
    refuseAborted(options?.signal, `list ${query.prefix}`);
    if (ready === undefined) return emptyPage;
    const { prefix, startAfter, limit } = ready;
    let at = this.#positionOf(startAfter === "" ? prefix : startAfter);
    if (startAfter !== "" && this.#names[at] === startAfter) at++;
    const entries = [];
    for (const name of this.#names.slice(at, at + limit + 1)) {
      const object = this.#objects.get(name);
      if (object === undefined || !name.startsWith(prefix)) break;
      entries.push({ key: name, size: object.bytes.length, modifiedMs: object.modifiedMs });
    }
    return { entries: entries.slice(0, limit), more: entries.length > limit };
  }

  async delete(key: ObjectKey, options?: CallOptions): Promise<void> {
    checkKey(key);
    refuseAborted(options?.signal, `delete ${key}`);
    if (this.#objects.delete(key)) this.#names.splice(this.#positionOf(key), 1);
  }

  async close(): Promise<void> {}

  /** What only a hostile store does: puts any bytes under any name, over what lies there. */
  plant(name: string, bytes: Uint8Array): void {
    const at = this.#positionOf(name);
    if (this.#names[at] !== name) this.#names.splice(at, 0, name);
    this.#objects.set(name, { bytes: bytes.slice(), modifiedMs: this.#clock.now() });
  }

  /** Where `name` is or would be among the sorted names. */
  #positionOf(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = this.#names[middle];
      if (there !== undefined && compareNames(there, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
