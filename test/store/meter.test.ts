import { expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { faultStore } from "../../src/store/fault.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { meterStore, requestClasses } from "../../src/store/meter.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { rejectionCode } from "../support/rejection.ts";
import { keyOf } from "../support/store-key.ts";

const clock = new ManualClock();

it("counts requests, failures and bytes by operation, and sums them up as they are billed", async () => {
  const fails = faultStore(new MemoryStore(clock), clock, ({ name }) =>
    name === "a/broken" ? { fail: { when: "before", code: "STORE_BUSY" } } : undefined,
  );
  const { store, counts } = meterStore(fails.store);
  await store.put(keyOf("a/b"), utf8("12345"));
  await store.put(keyOf("a/b"), utf8("12345"));
  await store.get(keyOf("a/b"), { maxBytes: 10 });
  await store.get(keyOf("a/b"), { maxBytes: 1 });
  await store.get(keyOf("a/absent"), { maxBytes: 1 });
  await rejectionCode(store.get(keyOf("a/broken"), { maxBytes: 1 }));
  await store.list({ prefix: "", limit: 1 });
  await store.delete(keyOf("a/b"));
  expect(counts()).toEqual({
    put: { requests: 2, failures: 0, bytes: 10 },
    get: { requests: 4, failures: 1, bytes: 5 },
    list: { requests: 1, failures: 0, bytes: 0 },
    delete: { requests: 1, failures: 0, bytes: 0 },
  });
  expect(requestClasses(counts())).toEqual({ putClass: 3, getClass: 4, deletes: 1 });
});

it("gives counts that later requests do not change", async () => {
  const { store, counts } = meterStore(new MemoryStore(clock));
  const before = counts();
  await store.list({ prefix: "", limit: 1 });
  expect(before.list.requests).toBe(0);
  expect(counts().list.requests).toBe(1);
});
