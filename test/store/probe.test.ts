import { afterEach, describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName, type ObjectKey } from "../../src/base/names.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import { faultStore } from "../../src/store/fault.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { probeStore, requireConditionalPut } from "../../src/store/probe.ts";
import type { ListPage, ListQuery, PutResult } from "../../src/store/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { rejectionCode } from "../support/rejection.ts";
import { startS3, type RunningS3 } from "../support/s3-server.ts";
import { makeBucket } from "../support/s3.ts";

const options = {
  gateway: parseGatewayName("eu-lab"),
  clock: new ManualClock(),
  random: systemRandom,
};
const everything = { prefix: "", limit: 10 };

/** Lists for a while what stood before the last change. */
class LaggingStore extends MemoryStore {
  readonly #clock: ManualClock;
  readonly #lagMs: number;
  #untilMs = 0;
  #before: ListPage = { entries: [], more: false };

  constructor(clock: ManualClock, lagMs: number) {
    super(clock);
    this.#clock = clock;
    this.#lagMs = lagMs;
  }

  override async put(key: ObjectKey, bytes: Uint8Array): Promise<PutResult> {
    const result = await super.put(key, bytes);
    if (result === "created") this.#untilMs = this.#clock.now() + this.#lagMs;
    return result;
  }

  override async delete(key: ObjectKey): Promise<void> {
    await super.delete(key);
    this.#untilMs = this.#clock.now() + this.#lagMs;
  }

  override async list(query: ListQuery): Promise<ListPage> {
    if (query.startAfter !== undefined) return super.list(query);
    if (this.#clock.now() >= this.#untilMs) this.#before = await super.list(query);
    return this.#before;
  }
}

describe("a store that ignores If-None-Match", () => {
  let emulator: RunningS3 | undefined;
  afterEach(() => emulator?.stop());

  it("is found weak, and nothing is left behind", async () => {
    emulator = await startS3("emulator");
    const bucket = await makeBucket(emulator.s3);
    const store = bucket.store("some/prefix");
    const probe = await probeStore(store, { ...options, clock: systemClock });
    expect(probe).toMatchObject({ conditionalPut: "weak", listed: true, deleted: true });
    expect(probe.winners).toBeGreaterThan(1);
    expect(await rejectionCode(requireConditionalPut(store, options))).toBe("STORE_UNSAFE");
    expect(await store.list(everything)).toEqual({ entries: [], more: false });
    await store.close();
    await bucket.remove();
  });
});

describe("the probe", () => {
  it("finds a store weak that has one winner but lets a later put through", async () => {
    const memory = new MemoryStore(options.clock);
    const { store } = faultStore(memory, options.clock, ({ operation, name }, count) => {
      if (operation === "put" && count > limits.probeRacers) memory.plant(name, new Uint8Array(1));
      return undefined;
    });
    expect(await probeStore(store, options)).toMatchObject({ conditionalPut: "weak", winners: 1 });
  });

  it("writes under names that readers know for probes", async () => {
    const names = new Set<string>();
    const memory = new MemoryStore(options.clock);
    const { store } = faultStore(memory, options.clock, ({ operation, name }) => {
      if (operation === "put") names.add(name);
      return undefined;
    });
    await probeStore(store, options);
    expect([...names].map(parseObjectKey)).toMatchObject([{ kind: "probe", gateway: "eu-lab" }]);
  });

  it("says how far the store's clock is off, beyond what stamps of whole seconds leave open", async () => {
    const offsetOf = async (ms: number) => {
      const clock = new ManualClock(options.clock.now() + ms);
      return (await probeStore(new MemoryStore(clock), options)).clockOffsetMs;
    };
    expect(await offsetOf(0)).toBe(0);
    expect(await offsetOf(-999)).toBe(0);
    expect(await offsetOf(3_600_000)).toBe(3_600_000);
    expect(await offsetOf(-3_600_000)).toBe(-3_599_000);
  });

  it("races again where a busy store turned all racers away, and counts losers that were", async () => {
    const memory = new MemoryStore(options.clock);
    const { store } = faultStore(memory, options.clock, ({ operation }, count) =>
      operation === "put" && count <= limits.probeRacers + 5
        ? { fail: { when: "before", code: "STORE_BUSY" } }
        : undefined,
    );
    expect(await probeStore(store, options)).toMatchObject({
      conditionalPut: "atomic",
      winners: 1,
    });
    expect(await memory.list(everything)).toEqual({ entries: [], more: false });
  });

  it("says how many racers were turned away", async () => {
    const memory = new MemoryStore(options.clock);
    const { store } = faultStore(memory, options.clock, ({ operation }, count) =>
      operation === "put" && count <= 5
        ? { fail: { when: "before", code: "STORE_BUSY" } }
        : undefined,
    );
    expect(await probeStore(store, options)).toMatchObject({ winners: 1, turnedAway: 5 });
  });

  it.each([
    [0, { listed: true, deleted: true, lagMs: 0 }],
    [3000, { listed: true, deleted: true, lagMs: 3000 }],
    [limits.probeLagMs + 1, { listed: false, lagMs: limits.probeLagMs }],
  ])("says what comes of listings that lag by %i ms", async (lagMs, expected) => {
    const clock = new ManualClock();
    const store = new LaggingStore(clock, lagMs);
    expect(await probeStore(store, { ...options, clock })).toMatchObject({
      conditionalPut: "atomic",
      ...expected,
    });
  });

  it("gives up on a store that stays busy, with its code", async () => {
    const busy = faultStore(new MemoryStore(options.clock), options.clock, ({ operation }) =>
      operation === "put" ? { fail: { when: "before", code: "STORE_BUSY" } } : undefined,
    );
    expect(await rejectionCode(probeStore(busy.store, options))).toBe("STORE_BUSY");
  });

  it("ends at once with the code of a store that refuses", async () => {
    const denied = faultStore(new MemoryStore(options.clock), options.clock, () => ({
      fail: { when: "before", code: "STORE_DENIED" },
    }));
    expect(await rejectionCode(probeStore(denied.store, options))).toBe("STORE_DENIED");
  });
});
