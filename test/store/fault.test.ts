import { expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { faultStore, type Fault } from "../../src/store/fault.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { rejectionCode } from "../support/rejection.ts";
import { keyOf } from "../support/store-key.ts";

const key = keyOf("a/b");

/** A store whose puts all meet the fault. */
function setUp(fault: Fault) {
  const clock = new ManualClock();
  const memory = new MemoryStore(clock);
  const faulty = faultStore(memory, clock, ({ operation }) =>
    operation === "put" ? fault : undefined,
  );
  const there = async () => (await memory.get(key, { maxBytes: 10 })).status;
  return { clock, there, ...faulty };
}

it("fails before the operation, which then never happens", async () => {
  const { store, there } = setUp({ fail: { when: "before", code: "STORE_BUSY" } });
  expect(await rejectionCode(store.put(key, utf8("x")))).toBe("STORE_BUSY");
  expect(await there()).toBe("absent");
});

it("fails after the operation took effect", async () => {
  const { store, there } = setUp({ fail: { when: "after", code: "STORE_UNREACHABLE" } });
  expect(await rejectionCode(store.put(key, utf8("x")))).toBe("STORE_UNREACHABLE");
  expect(await there()).toBe("found");
});

it("fails early, and the operation takes effect later", async () => {
  const { store, there, settled, clock } = setUp({
    delayMs: 500,
    fail: { when: "early", code: "STORE_UNREACHABLE" },
  });
  const putting = rejectionCode(store.put(key, utf8("x")));
  expect(await putting).toBe("STORE_UNREACHABLE");
  await settled();
  expect(await there()).toBe("found");
  expect(clock.slept).toEqual([500]);
});

it("delays by the clock that was passed in", async () => {
  const { store, clock } = setUp({ delayMs: 500 });
  expect(await store.put(key, utf8("x"))).toBe("created");
  expect(clock.slept).toEqual([500]);
});

it("repeats the operation and gives the last answer", async () => {
  const { store } = setUp({ repeat: true });
  expect(await store.put(key, utf8("x"))).toBe("exists");
});

it("tells the plan operation, name and count of each call", async () => {
  const seen: unknown[] = [];
  const clock = new ManualClock();
  const { store } = faultStore(new MemoryStore(clock), clock, ({ operation, name }, count) => {
    seen.push([operation, name, count]);
    return undefined;
  });
  await store.put(key, utf8("x"));
  await store.list({ prefix: "a/", limit: 1 });
  await store.get(key, { maxBytes: 1 });
  await store.delete(key);
  expect(seen).toEqual([
    ["put", "a/b", 1],
    ["list", "a/", 2],
    ["get", "a/b", 3],
    ["delete", "a/b", 4],
  ]);
});
