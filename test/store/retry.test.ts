import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { PosternError, type ErrorCode } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import type { Random } from "../../src/base/random.ts";
import { aroundStore } from "../../src/store/around.ts";
import { faultStore, type FaultPlan } from "../../src/store/fault.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { meterStore } from "../../src/store/meter.ts";
import { retryStore } from "../../src/store/retry.ts";
import { retryableStoreCodes, type Store } from "../../src/store/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { rejectionCode } from "../support/rejection.ts";
import { keyOf } from "../support/store-key.ts";

const key = keyOf("a/b");
const random = (fraction: number): Random => ({
  bytes: (n) => new Uint8Array(n),
  fraction: () => fraction,
});

/** A memory store that fails by plan, under a meter, under retries. */
function setUp(plan: FaultPlan, attempts?: number, fraction = 1) {
  const clock = new ManualClock();
  const memory = new MemoryStore(clock);
  const meter = meterStore(faultStore(memory, clock, plan).store);
  const store = retryStore(meter.store, {
    clock,
    random: random(fraction),
    ...(attempts === undefined ? {} : { attempts }),
  });
  return { clock, memory, meter, store };
}

const failing =
  (when: "before" | "after", code: ErrorCode, times = Infinity): FaultPlan =>
  (_call, count) =>
    count <= times ? { fail: { when, code } } : undefined;

const calls: Readonly<Record<string, (store: Store, signal?: AbortSignal) => Promise<unknown>>> = {
  get: (store, signal) =>
    store.get(key, { maxBytes: 10, ...(signal === undefined ? {} : { signal }) }),
  put: (store, signal) => store.put(key, utf8("x"), signal === undefined ? {} : { signal }),
  list: (store, signal) =>
    store.list({ prefix: "", limit: 1 }, signal === undefined ? {} : { signal }),
  delete: (store, signal) => store.delete(key, signal === undefined ? {} : { signal }),
};

describe.each(Object.entries(calls))("retries of %s", (name, call) => {
  it.each([...retryableStoreCodes])("go on after %s until the call succeeds", async (code) => {
    const { store, clock } = setUp(failing("before", code, 3));
    expect(await rejectionCode(call(store))).toBe("fulfilled");
    expect(clock.slept).toHaveLength(3);
  });

  it("end with the last failure after storeAttempts", async () => {
    let count = 0;
    const { store, clock } = setUp(() => {
      count++;
      return { fail: { when: "before", code: "STORE_BUSY" } };
    });
    expect(await rejectionCode(call(store))).toBe("STORE_BUSY");
    expect(count).toBe(limits.storeAttempts);
    expect(clock.slept).toHaveLength(limits.storeAttempts - 1);
  });

  it.each([
    ...(name === "put" ? [] : (["STORE_DENIED"] as const)),
    "STORE_FULL",
    "STORE_CHANGED",
    "STORE_ABORTED",
    "STORE_FAILED",
  ] as const)("do not follow on %s", async (code) => {
    const { store, clock } = setUp(failing("before", code));
    expect(await rejectionCode(call(store))).toBe(code);
    expect(clock.slept).toEqual([]);
  });

  it("end when the caller gives up, whether before or while waiting", async () => {
    const aborted = setUp(() => undefined);
    expect(await rejectionCode(call(aborted.store, AbortSignal.abort()))).toBe("STORE_ABORTED");
    expect(aborted.meter.counts().get.requests).toBe(0);

    const controller = new AbortController();
    const { store, clock } = setUp(() => {
      controller.abort();
      return { fail: { when: "before", code: "STORE_UNREACHABLE" } };
    });
    expect(await rejectionCode(call(store, controller.signal))).toBe("STORE_ABORTED");
    expect(clock.slept).toHaveLength(1);
  });
});

describe("the waits between attempts", () => {
  const waits = async (fraction: number) => {
    const { store, clock } = setUp(failing("before", "STORE_BUSY"), 9, fraction);
    await rejectionCode(store.get(key, { maxBytes: 1 }));
    return clock.slept;
  };

  it("double from storeRetryMinMs to storeRetryMaxMs, jittered down to half", async () => {
    expect(await waits(1)).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    expect(await waits(0)).toEqual([50, 100, 200, 400, 800, 1600, 2500, 2500]);
  });

  const asking = (retryAfterMs: number) => {
    const { clock, store } = setUp(() => undefined);
    const busy = aroundStore(store, () =>
      Promise.reject(new PosternError("STORE_BUSY", "busy", { retryAfterMs })),
    );
    return { clock, store: retryStore(busy, { clock, random: random(1), attempts: 3 }) };
  };

  it("begin after the time that the store asks to be left alone", async () => {
    const { clock, store } = asking(3000);
    expect(await rejectionCode(store.get(key, { maxBytes: 1 }))).toBe("STORE_BUSY");
    expect(clock.slept).toEqual([3100, 3200]);
  });

  it("are none where it asks for more than storeRetryMaxMs: another pass finds it again", async () => {
    const { clock, store } = asking(limits.storeRetryMaxMs + 1);
    expect(await rejectionCode(store.get(key, { maxBytes: 1 }))).toBe("STORE_BUSY");
    expect(clock.slept).toEqual([]);
  });
});

it("a put whose first response was lost says exists, and its bytes lie there once", async () => {
  const { store, meter } = setUp(failing("after", "STORE_UNREACHABLE", 1));
  expect(await store.put(key, utf8("x"))).toBe("exists");
  expect(meter.counts().put.requests).toBe(2);
  expect(await store.get(key, { maxBytes: 10 })).toEqual({ status: "found", bytes: utf8("x") });
});

it("what is no coded error is a fault of the program and is not retried", async () => {
  const clock = new ManualClock();
  let attempts = 0;
  const broken: Store = {
    capabilities: new MemoryStore(clock).capabilities,
    get: async () => {
      attempts++;
      throw new TypeError("fetch failed");
    },
    put: async () => "created",
    list: async () => ({ entries: [], more: false }),
    delete: async () => undefined,
    close: async () => undefined,
  };
  const store = retryStore(broken, { clock, random: random(0) });
  await expect(store.get(key, { maxBytes: 1 })).rejects.toThrow(TypeError);
  await expect(store.get(key, { maxBytes: 1 })).rejects.not.toBeInstanceOf(PosternError);
  expect(attempts).toBe(2);
});

it("a put that is denied is tried a few times, because it may have met a race in the store; nothing else is", async () => {
  const denied = failing("before", "STORE_DENIED", limits.deniedPutAttempts - 1);
  const { store } = setUp(denied);
  expect(await store.put(key, utf8("x"))).toBe("created");
  const { store: closed, meter } = setUp(failing("before", "STORE_DENIED"));
  expect(await rejectionCode(closed.put(key, utf8("x")))).toBe("STORE_DENIED");
  expect(meter.counts().put.requests).toBe(limits.deniedPutAttempts);
  expect(await rejectionCode(closed.delete(key))).toBe("STORE_DENIED");
  expect(meter.counts().delete.requests).toBe(1);
});
