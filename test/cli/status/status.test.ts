import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../../src/base/bytes.ts";
import { PosternError } from "../../../src/base/errors.ts";
import { limits } from "../../../src/base/limits.ts";
import { readStatus, type Status } from "../../../src/cli/status/status.ts";
import type { Mailbox } from "../../../src/mailbox/mailbox.ts";
import { plantRequest } from "../../support/forged.ts";
import {
  hanger,
  pass,
  routes,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../../support/two-gateways.ts";
import { poll } from "../../../src/gateway/poll.ts";

let two: TwoGateways;
let asker: Mailbox;
let doer: Mailbox;
beforeEach(() => {
  two = twoGateways();
  asker = two.asker.process();
  doer = two.doer.process();
});

const read = (mailbox: Mailbox, offline = false): Promise<Status> =>
  readStatus({ mailbox }, { offline });
const iso = (): string => new Date(two.clock.now()).toISOString();

describe("the status of a gateway", () => {
  it("counts what waits in one listing, by peer, with the oldest of each", async () => {
    const firstAt = iso();
    plantRequest(two, { idempotencyKey: "a" });
    two.clock.jump(60_000);
    plantRequest(two, { idempotencyKey: "b" });
    two.clock.jump(5000);
    two.doer.calls.splice(0);
    const { inbox, store } = await read(doer);
    expect(inbox).toStrictEqual({
      waiting: 2,
      complete: true,
      oldest: { at: firstAt, ageSeconds: 65 },
      senders: [{ sender: "asker", waiting: 2, oldest: { at: firstAt, ageSeconds: 65 } }],
    });
    expect(store).toMatchObject({ reached: true, code: null });
    expect(two.doer.calls).toEqual(["list inbox"]);
  });

  it("counts all who are no peers as one, and neither cancels nor names that no rule makes", async () => {
    const runIdOf = (letter: string): string => letter.repeat(52);
    two.store.plant(`doer/inbox/stranger-a/${runIdOf("a")}`, utf8("x"));
    two.store.plant(`doer/inbox/stranger-b/${runIdOf("b")}`, utf8("x"));
    two.store.plant(`doer/inbox/asker/${runIdOf("c")}.${"d".repeat(16)}.cancel`, utf8("x"));
    two.store.plant("doer/inbox/asker/junk", utf8("x"));
    const { inbox } = await read(doer);
    expect(inbox?.senders.map(({ sender, waiting }) => [sender, waiting])).toEqual([
      ["(strangers)", 2],
    ]);
  });

  it("says when there is more than one listing holds", async () => {
    for (let number = 0; number <= limits.listPageKeys; number += 1)
      two.store.plant(`doer/inbox/asker/${String(number).padStart(52, "a")}`, utf8("x"));
    const { inbox } = await read(doer);
    expect(inbox?.complete).toBe(false);
  });

  it("tells of runs on either side, and of the last pass", async () => {
    const askedAt = iso();
    await two.asks(asker, "hi");
    const { handler, finish } = hanger();
    const polling = poll(doer, routes(handler));
    await two.clock.advance(30_000);
    const running = await read(doer);
    expect(running.received).toMatchObject({ admitted: 0, running: 1, unpublished: 0 });
    expect(running.passes).toEqual({ last: null, lastGood: null });
    finish();
    await two.clock.until(polling);
    const done = await read(doer);
    expect(done.received).toEqual({ admitted: 0, running: 0, unpublished: 0, oldest: null });
    expect(done.passes.last).toMatchObject({ code: null });
    expect(done.passes.lastGood).toEqual({ at: done.passes.last?.at, ageSeconds: 0 });
    expect(done.owner).toMatchObject({ generation: 1, elsewhere: false });
    const { asked } = await read(asker);
    expect(asked).toMatchObject({ open: 1, unknown: 0, oldest: { at: askedAt } });
  });

  it("tells the latest code of each sender's quarantine, and the troubles", async () => {
    plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
    await pass(two.clock, doer, sayer());
    const { quarantine, troubles } = await read(doer);
    const latest = { code: "SIGNATURE_INVALID", ageSeconds: 0 };
    expect(quarantine).toMatchObject([{ sender: "asker", entries: 1, released: 0, latest }]);
    expect(troubles).toMatchObject([{ peer: "asker", code: "SIGNATURE_INVALID" }]);
    await doer.state.noteTrouble({ subject: "", code: "STORE_FULL", message: "m", atMs: 1 });
    expect((await read(doer)).troubles.map(({ peer }) => peer)).toEqual(["asker", null]);
  });

  it("leaves the store out where it is told to", async () => {
    const { inbox, store } = await read(doer, true);
    expect([inbox, store.reached]).toEqual([null, null]);
    expect(two.doer.calls).toEqual([]);
  });

  it("is told all the same while the store is away, with the reason", async () => {
    await pass(two.clock, doer);
    two.doer.trouble = () => ({ when: "before", code: "STORE_DENIED" });
    const { inbox, store, passes } = await read(doer);
    expect(store).toMatchObject({ reached: false, code: "STORE_DENIED" });
    expect([inbox, passes.last?.code]).toEqual([null, null]);
  });

  it("tells the version of the trust document and its end, or why it cannot be used", async () => {
    two.doer.trustExpires = new Date(two.clock.now() + 90_000).toISOString();
    const { trustExpires } = two.doer;
    const good = { version: 1, expiresAt: trustExpires, expiresInSeconds: 90, code: null };
    expect((await read(doer)).trust).toEqual(good);
    two.clock.jump(90_000);
    expect((await read(doer)).trust).toMatchObject({
      version: 1,
      expiresInSeconds: 0,
      code: "TRUST_EXPIRED",
    });
    two.doer.trustVersion = 7;
    two.doer.trustExpires = "2099-01-01T00:00:00Z";
    await pass(two.clock, doer);
    two.doer.trustVersion = 6;
    const rolledBack = { version: 6, code: "TRUST_ROLLED_BACK" };
    expect((await read(doer)).trust).toMatchObject(rolledBack);
    two.doer.trustFailure = new PosternError("TRUST_INVALID", "made up by a test");
    plantRequest(two);
    const { trust, inbox } = await read(doer);
    expect(trust).toMatchObject({ version: null, expiresAt: null, code: "TRUST_INVALID" });
    expect(inbox?.waiting).toBe(1);
  });

  it("tells that the clock is behind the state, and behind the store", async () => {
    await pass(two.clock, doer);
    plantRequest(two);
    expect((await read(doer)).clock).toEqual({ behindSeconds: 0, behindStoreSeconds: 0 });
    two.clock.jump(-60_000);
    expect((await read(doer)).clock).toEqual({ behindSeconds: 60, behindStoreSeconds: 60 });
    expect((await read(asker)).clock.behindStoreSeconds).toBeNull();
  });

  it("changes nothing in state and store", async () => {
    plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
    await pass(two.clock, doer, sayer());
    plantRequest(two);
    two.clock.jump(60_000);
    two.doer.trustVersion += 1;
    const before = two.doer.disk.snapshot();
    two.doer.calls.splice(0);
    await read(doer);
    expect(two.doer.disk.snapshot()).toStrictEqual(before);
    expect(two.doer.calls).toEqual(["list inbox"]);
  });
});
