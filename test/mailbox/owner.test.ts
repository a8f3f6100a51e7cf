import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { checkOwner, ensureOwner, hasOwner } from "../../src/mailbox/owner.ts";
import { objectKey } from "../../src/protocol/object-key.ts";
import { MemoryDisk, openMemoryState } from "../../src/state/memory.ts";
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

it("lists once and claims the first generation", async () => {
  expect(await hasOwner(box)).toBe(false);
  calls();
  await ensureOwner(box);
  expect(calls()).toEqual(["list owner", "put owner"]);
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
    expect(calls()).toEqual(["list owner", "put owner"]);
    expect((await box.state.owner()).generation).toBe(2);
  });

  it("of another program claims nothing", async () => {
    await checkOwner(box);
    expect(await two.keys("doer/owner/")).toEqual([]);
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
});
