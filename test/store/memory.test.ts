import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { storeContract } from "../contract/store-contract.ts";
import { keyOf } from "../support/store-key.ts";

storeContract("the memory store", {
  open: async () => ({ store: new MemoryStore(systemClock), remove: async () => undefined }),
  runs: 200,
});

describe("a hostile memory store", () => {
  it("lists whatever name was planted, and gives whatever bytes were planted over an object", async () => {
    const store = new MemoryStore(systemClock);
    await store.put(keyOf("a/b"), utf8("good"));
    store.plant("a/b", utf8("evil"));
    store.plant("../../etc\n\u001b[31m", utf8("junk"));
    const { entries } = await store.list({ prefix: "", limit: 10 });
    expect(entries.map(({ key }) => key)).toEqual(["../../etc\n\u001b[31m", "a/b"]);
    expect(await store.get(keyOf("a/b"), { maxBytes: 10 })).toEqual({
      status: "found",
      bytes: utf8("evil"),
    });
  });
});
