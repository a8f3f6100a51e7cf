import { expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { silentLogger } from "../../src/base/log.ts";
import { faultStore } from "../../src/store/fault.ts";
import { logStore } from "../../src/store/log.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { rejectionCode } from "../support/rejection.ts";
import { keyOf } from "../support/store-key.ts";

it("logs each operation with its outcome and time, and no bytes of any object", async () => {
  const lines: unknown[] = [];
  const clock = new ManualClock();
  const faulty = faultStore(new MemoryStore(clock), clock, (_call, count) =>
    count === 3 ? { fail: { when: "before", code: "STORE_DENIED" } } : { delayMs: 7 },
  );
  const logger = {
    ...silentLogger,
    debug: (fields: object, message: string) => {
      lines.push({ ...fields, message });
    },
  };
  const store = logStore(faulty.store, logger, clock);
  await store.put(keyOf("a/b"), utf8("secret"));
  await store.list({ prefix: "a/", limit: 5 });
  expect(await rejectionCode(store.delete(keyOf("a/b")))).toBe("STORE_DENIED");
  expect(lines).toMatchObject([
    {
      operation: "put",
      name: "a/b",
      answer: "created",
      bytes: 6,
      ms: 7,
      message: "store operation",
    },
    { operation: "list", name: "a/", answer: "listed", keys: 1, ms: 7 },
    { operation: "delete", name: "a/b", code: "STORE_DENIED", message: "store operation failed" },
  ]);
  expect(JSON.stringify(lines)).not.toContain("secret");
});
