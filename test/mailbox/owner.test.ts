import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { checkOwner, ensureOwner, hasOwner } from "../../src/mailbox/owner.ts";
import { sweepOwnerKeys } from "../../src/mailbox/sweep.ts";
import { objectKey } from "../../src/protocol/object-key.ts";
import { MemoryDisk, openMemoryState } from "../../src/state/memory.ts";
import { aroundStore } from "../../src/store/around.ts";
import { aroundState } from "../support/around-state.ts";
import { keyOf as keyNamed } from "../support/store-key.ts";
import { codeOf, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.doer.process();
});

const keyOf = (generation: number) =>
  objectKey({ kind: "owner", gateway: two.doer.name, generation });
const calls = (): string[] => two.doer.calls.splice(0);

/** The same gateway, keys and all, on a disk of its own. */
function twin(disk = new MemoryDisk({ clock: two.clock })): Mailbox {
  return { ...two.doer.process(), state: openMemoryState({ clock: two.clock, disk }) };
}

/** Before each claim the store is seen to refuse the second write of a name. */
const claiming = ["put probe", "put probe", "delete probe", "put owner"];

it("lists once and claims the first generation", async () => {
  expect(await hasOwner(box)).toBe(false);
  calls();
  await ensureOwner(box);
  expect(calls()).toEqual(["list owner", ...claiming]);
  expect(await box.state.owner()).toMatchObject({ generation: 1, elsewhere: false });
  expect(await hasOwner(box)).toBe(true);
});

it("commits the nonce before the claim is put", async () => {
  let known = 0;
  two.doer.trouble = ({ operation }) => {
    if (operation === "put") known = two.doer.disk.content.nonces.size;
    return undefined;
  };
  await ensureOwner(box);
  expect(known).toBe(1);
});

describe("a look", () => {
  it("is good for half a minute, for every process of the state", async () => {
    await ensureOwner(box);
    calls();
    two.clock.jump(limits.ownerLookMs / 2 - 1);
    await ensureOwner(two.doer.process());
    expect(calls()).toEqual([]);
  });

  it("costs one read of the next generation while the last one is recent", async () => {
    await ensureOwner(box);
    calls();
    two.clock.jump(limits.ownerLookMs / 2);
    await ensureOwner(box);
    expect(calls()).toEqual(["get owner"]);
  });

  it("lists again after an hour, and claims the next generation", async () => {
    await ensureOwner(box);
    calls();
    two.clock.jump(limits.ownerClaimMs);
    await ensureOwner(box);
    expect(calls()).toEqual(["list owner", ...claiming]);
    expect((await box.state.owner()).generation).toBe(2);
  });

  it("of another program claims nothing, and tells the newest generation", async () => {
    expect(await checkOwner(box)).toBe(0);
    expect(await two.keys("doer/owner/")).toEqual([]);
    await ensureOwner(box);
    expect(await checkOwner(box)).toBe(1);
  });

  it("that is not to be remembered leaves the state as it is", async () => {
    await ensureOwner(twin());
    const before = two.doer.disk.snapshot();
    expect(await codeOf(two.clock, checkOwner(box, { remember: false }))).toBe("STATE_ELSEWHERE");
    expect(two.doer.disk.snapshot()).toStrictEqual(before);
  });
});

describe("another state under the same name", () => {
  it("that claims later stops this one for good", async () => {
    await ensureOwner(box);
    await ensureOwner(twin()).catch(() => undefined);
    const other = twin();
    await other.state.recover();
    await ensureOwner(other);
    two.clock.jump(limits.ownerLookMs / 2);
    expect(await codeOf(two.clock, ensureOwner(box))).toBe("STATE_ELSEWHERE");
    await two.store.delete(keyOf(2));
    expect(await codeOf(two.clock, ensureOwner(box))).toBe("STATE_ELSEWHERE");
    expect(await codeOf(two.clock, checkOwner(box))).toBe("STATE_ELSEWHERE");
  });

  it("that claimed before stops a state that was made anew", async () => {
    await ensureOwner(box);
    const other = twin();
    expect(await codeOf(two.clock, ensureOwner(other))).toBe("STATE_ELSEWHERE");
    expect((await other.state.owner()).elsewhere).toBe(true);
  });

  it("loses the race for a generation that the other claims first", async () => {
    const other = twin();
    const codes = await Promise.all([
      codeOf(two.clock, ensureOwner(box)),
      codeOf(two.clock, ensureOwner(other)),
    ]);
    expect(codes.toSorted()).toEqual(["STATE_ELSEWHERE", "fulfilled"]);
  });
});

it("gives up over more forged claims than it reads: STORE_UNSAFE", async () => {
  for (let generation = 2; generation <= limits.ownerKeysPerLook + 2; generation += 1)
    two.store.plant(keyOf(generation), utf8("forged"));
  expect(await codeOf(two.clock, ensureOwner(box))).toBe("STORE_UNSAFE");
  expect(calls().filter((call) => call === "get owner")).toHaveLength(limits.ownerKeysPerLook);
});

it("gives up over them also while a look is recent", async () => {
  await ensureOwner(box);
  two.clock.jump(limits.ownerLookMs);
  calls();
  for (let generation = 2; generation <= limits.ownerKeysPerLook + 2; generation += 1)
    two.store.plant(keyOf(generation), utf8("forged"));
  expect(await codeOf(two.clock, ensureOwner(box))).toBe("STORE_UNSAFE");
  expect(calls().filter((call) => call === "get owner")).toHaveLength(limits.ownerKeysPerLook);
});

it("gives up over names that no rule makes as well, however many are listed", async () => {
  for (let count = 0; count < 5 * limits.ownerKeysPerLook; count += 1)
    two.store.plant(`doer/owner/junk${count}`, utf8("junk"));
  expect(await codeOf(two.clock, ensureOwner(box))).toBe("STORE_UNSAFE");
  expect(calls()).toEqual(["list owner"]);
});

describe("a store that writes over what stands", () => {
  const overwriting = (): Mailbox => {
    const store = aroundStore(box.store, async ({ operation, name }, run) => {
      if (operation === "put") await two.store.delete(keyNamed(name));
      return run();
    });
    return { ...box, store };
  };

  it("is claimed nothing in: STORE_UNSAFE, again and again", async () => {
    for (let tries = 0; tries < 2; tries += 1)
      expect(await codeOf(two.clock, ensureOwner(overwriting()))).toBe("STORE_UNSAFE");
    expect(await two.keys("doer/")).toEqual([]);
    await ensureOwner(box);
    expect(await two.keys("doer/owner/")).toHaveLength(1);
  });
});

describe("an owner key that does not verify", () => {
  it("is no claim: it is reported, and the next free number is taken", async () => {
    two.store.plant(keyOf(1), utf8("anything"));
    two.store.plant(keyOf(2), new Uint8Array(limits.maxEnvelopeBytes + 1));
    await ensureOwner(box);
    expect(await box.state.owner()).toMatchObject({ generation: 3, elsewhere: false });
    expect(two.doer.reports).toContain("OBJECT_TOO_LARGE");
  });

  it("of another gateway's key is no claim either", async () => {
    const { signingKey } = two.asker;
    const stranger = { ...twin(), signingKey };
    await ensureOwner(stranger);
    await ensureOwner(box);
    expect(await box.state.owner()).toMatchObject({ generation: 2, elsewhere: false });
  });

  it("moved from another generation is no claim", async () => {
    const other = twin();
    await ensureOwner(other);
    const got = await two.store.get(keyOf(1), { maxBytes: limits.maxEnvelopeBytes });
    await two.store.delete(keyOf(1));
    if (got.status === "found") two.store.plant(keyOf(5), got.bytes);
    await ensureOwner(box);
    expect((await box.state.owner()).elsewhere).toBe(false);
  });
});

describe("a claim whose response was lost", () => {
  it("is found again as one's own", async () => {
    two.doer.trouble = ({ operation }) =>
      operation === "put" ? { when: "after", code: "STORE_UNREACHABLE" } : undefined;
    expect(await codeOf(two.clock, ensureOwner(box))).toBe("STORE_UNREACHABLE");
    two.doer.trouble = () => undefined;
    await ensureOwner(box);
    expect(await box.state.owner()).toMatchObject({ generation: 1, elsewhere: false });
  });
});

describe("past claims", () => {
  /** Claims one generation after the other, an hour apart. */
  async function claimFor(hours: number): Promise<void> {
    for (let hour = 0; hour < hours; hour += 1) {
      two.clock.jump(limits.ownerClaimMs);
      await ensureOwner(box);
    }
  }

  /** Claims the next generation at once. */
  async function claimAnew(): Promise<void> {
    await box.state.recover();
    await ensureOwner(box);
  }

  function plantJunk(from: number, to: number): void {
    for (let generation = from; generation <= to; generation += 1)
      two.store.plant(keyOf(generation), utf8("junk"));
  }

  const generations = async (): Promise<readonly string[]> =>
    (await two.keys("doer/owner/")).map((key) => String(Number(key.slice(-10))));
  const newest = async (): Promise<number> => (await box.state.owner()).generation;
  /** A copy of the home as it is now, which is started later. */
  const copied = (): Mailbox => twin(new MemoryDisk(two.doer.disk.snapshot()));

  it("go one by one with each new one, once there are more than a hundred below", async () => {
    await claimFor(limits.keptOwnerKeys + 1);
    expect(await generations()).toHaveLength(101);
    calls();
    await claimFor(1);
    expect(calls()).toEqual(["list owner", ...claiming, "get owner", "delete owner"]);
    await claimFor(3);
    expect(await generations()).toHaveLength(101);
    expect((await generations())[0]).toBe("5");
  });

  it("that cannot be deleted keep no claim from being made", async () => {
    await claimFor(limits.keptOwnerKeys + 1);
    two.doer.trouble = ({ operation }) =>
      operation === "delete" ? { when: "before", code: "STORE_DENIED" } : undefined;
    await claimFor(1);
    expect(await newest()).toBe(102);
    expect(two.doer.reports).toEqual(["STORE_DENIED"]);
    two.doer.trouble = () => undefined;
    await claimFor(1);
    expect((await generations()).slice(0, 2)).toEqual(["1", "3"]);
    expect((await sweepOwnerKeys(box, await newest(), { dryRun: true })).ownerKeys).toBe(1);
    expect((await sweepOwnerKeys(box, await newest())).ownerKeys).toBe(1);
    expect((await sweepOwnerKeys(box, await newest())).ownerKeys).toBe(0);
    expect((await generations())[0]).toBe("3");
  });

  it("stay while they are young, however many come", async () => {
    for (let count = 0; count < 110; count += 1) await claimAnew();
    expect((await sweepOwnerKeys(box, await newest())).ownerKeys).toBe(0);
    expect(await generations()).toHaveLength(110);
    two.clock.jump(limits.keptOwnerKeyMs + 1);
    expect((await sweepOwnerKeys(box, await newest())).ownerKeys).toBe(9);
  });

  it("of another gateway, and what is no claim, are not touched", async () => {
    plantJunk(1, 1);
    await claimFor(limits.keptOwnerKeys + 5);
    expect((await generations())[0]).toBe("1");
    two.store.plant("asker/owner/0000000001", utf8("x"));
    two.store.plant("doer/owner/1", utf8("x"));
    expect((await sweepOwnerKeys(box, await newest())).ownerKeys).toBe(0);
  });

  it("do not hide from a copy of long ago that it is elsewhere", async () => {
    await claimFor(3);
    const copy = copied();
    await claimFor(200);
    await sweepOwnerKeys(box, await newest());
    expect(await codeOf(two.clock, ensureOwner(copy))).toBe("STATE_ELSEWHERE");
  });

  it("do not hide it from a copy that has looked a moment ago, while somebody floods the keys", async () => {
    await ensureOwner(box);
    const copy = copied();
    two.clock.jump(60_000);
    await claimAnew();
    plantJunk(3, 200);
    await claimAnew();
    expect(await newest()).toBe(201);
    await sweepOwnerKeys(box, await newest());
    expect(await codeOf(two.clock, ensureOwner(copy))).toBe("STATE_ELSEWHERE");
  });

  it("do not hide it either where the flood is old, and the last claim as well", async () => {
    await ensureOwner(box);
    plantJunk(2, 200);
    two.clock.jump(3 * limits.keptOwnerKeyMs);
    const copy = copied();
    const begunMs = two.clock.now();
    const { bornMs, generation, claimedMs } = await copy.state.owner();
    await copy.state.noteOwner({ begunMs, bornMs, generation, claimedMs, elsewhere: false });
    two.clock.jump(60_000);
    await ensureOwner(box);
    expect(await newest()).toBe(201);
    await sweepOwnerKeys(box, await newest());
    expect(await codeOf(two.clock, checkOwner(copy))).toBe("STATE_ELSEWHERE");
  });
});

describe("a recovered state", () => {
  it("takes what stands as past, whoever claimed it, and claims the next", async () => {
    await ensureOwner(box);
    const other = twin();
    await other.state.recover();
    await ensureOwner(other);
    expect(await other.state.owner()).toMatchObject({ generation: 2, elsewhere: false });
  });

  it("is stopped by a claim that comes after its own", async () => {
    const [one, other] = [twin(), twin()];
    await one.state.recover();
    await ensureOwner(one);
    await other.state.recover();
    await ensureOwner(other);
    two.clock.jump(limits.ownerLookMs / 2);
    expect(await codeOf(two.clock, ensureOwner(one))).toBe("STATE_ELSEWHERE");
    await ensureOwner(other);
  });

  describe("while another process of its home looks at the owner keys", () => {
    it("claims the name all the same, though that process knew it as claimed", async () => {
      await ensureOwner(box);
      const copy = twin(new MemoryDisk(two.doer.disk.snapshot()));
      two.clock.jump(limits.ownerLookMs / 2);
      let recoveries = 0;
      const looking = aroundState(box, async (name, step) => {
        const answer = await step();
        if (name === "owner" && recoveries++ === 0) await two.doer.process().state.recover();
        return answer;
      });
      await ensureOwner(looking);
      await ensureOwner(two.doer.process());
      expect(await two.keys("doer/owner/")).toContain(keyOf(2));
      two.clock.jump(limits.ownerLookMs / 2);
      expect(await codeOf(two.clock, ensureOwner(copy))).toBe("STATE_ELSEWHERE");
    });

    it("is not kept from serving by a look that a clock which ran ahead began", async () => {
      await ensureOwner(box);
      two.clock.jump(limits.ownerClaimMs / 2);
      const store = aroundStore(box.store, async ({ operation }, run) => {
        const answer = await run();
        if (operation !== "get") return answer;
        two.clock.jump(-limits.ownerClaimMs / 2);
        const operator = two.doer.process();
        await operator.state.recover();
        await ensureOwner(operator);
        return answer;
      });
      await checkOwner({ ...box, store });
      expect(await box.state.owner()).toMatchObject({ generation: 2, lookMs: two.clock.now() });
    });
  });
});
