import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { follow } from "../../src/mailbox/follow.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { chainOf } from "../../src/protocol/frame.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { framesKeyOf, plantFrames, says, started, succeeds } from "../support/forged.ts";
import { runOf } from "../support/receipts.ts";
import { codeOf, pass, readAll, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
let record: OutboxRecord;
beforeEach(async () => {
  two = twoGateways();
  box = two.asker.process();
  record = await two.asks(box, "hi", { ttlMs: 600_000 });
  two.asker.calls.splice(0);
});

type Planted = Parameters<typeof plantFrames>[1];
const plant = (answer: Pick<Planted, "frames"> & Partial<Planted>) =>
  plantFrames(two, { runId: record.runId, requestDigest: record.requestDigest, ...answer });
const state = async () => (await box.state.outboxRecord(record.runId))?.state;
const closed = { status: "closed", terminal: { status: "succeeded" } };

/** A whole answer in one envelope. */
const answer = () => plant({ frames: [started(), says("a"), succeeds] });

describe("the terminal", () => {
  it("ends the run: the transcript is stored, then told, then the frames are deleted", async () => {
    const { key, bytes } = answer();
    const read = await readAll(two.clock, box, record);
    expect([read.followed, read.text]).toEqual([closed, "a"]);
    const transcript = await box.state.transcript(record.runId);
    expect(transcript?.envelopes.map(({ envelope }) => envelope)).toEqual([bytes]);
    expect(await two.keys("asker/frames/")).toEqual([]);
    expect(two.asker.calls).toEqual(["get frames", "delete frames"]);
    expect(transcript?.envelopes[0]?.key).toBe(key);
  });

  it("is committed before a single frame is deleted", async () => {
    answer();
    two.asker.trouble = ({ operation }) =>
      operation === "delete" ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
    expect((await readAll(two.clock, box, record)).followed).toEqual(closed);
    expect(await state()).toBe("closed");
    expect(await two.keys("asker/frames/")).toHaveLength(1);
  });

  it("is told again from the transcript, without the store", async () => {
    answer();
    const first = await readAll(two.clock, box, record);
    two.asker.calls.splice(0);
    expect(await readAll(two.clock, two.asker.process(), record)).toEqual(first);
    expect(two.asker.calls).toEqual([]);
  });

  it("takes the frames of abandoned attempts with it", async () => {
    plant({ frames: [started(), says("lost")] });
    plant({ attempt: 2, frames: [succeeds] });
    const read = await readAll(two.clock, box, record);
    expect(read.followed).toEqual(closed);
    expect(await two.keys("asker/frames/")).toEqual([]);
  });
});

describe("a second follower", () => {
  it("that is behind finishes from the transcript when another one has closed the run", async () => {
    const first = plant({ frames: [started(), says("a")] });
    const behind = follow(box, record.runId);
    expect((await behind.next()).value).toMatchObject({ event: "started" });
    expect((await behind.next()).value).toMatchObject({ payload: { text: "a" } });
    plant({ seq: 2, prev: chainOf(first.bytes), frames: [says("b"), succeeds] });
    await readAll(two.clock, two.asker.process(), record);
    expect((await behind.next()).value).toMatchObject({ seq: 2, payload: { text: "b" } });
    expect((await behind.next()).value).toMatchObject({ seq: 3, event: "terminal" });
    expect(await behind.next()).toEqual({ done: true, value: closed });
  });

  it("that loses the race for the close tells what is stored", async () => {
    answer();
    const read = await Promise.all([
      readAll(two.clock, box, record),
      readAll(two.clock, two.asker.process(), record),
    ]);
    expect(read.map(({ followed }) => followed)).toEqual([closed, closed]);
    expect(read.map(({ text }) => text)).toEqual(["a", "a"]);
  });
});

describe("of two answers to one request, a follower who was told of one", () => {
  it("is not told the end of the other, which another follower closed the run with", async () => {
    plant({ frames: [started(), says("a")] });
    const behind = follow(box, record.runId);
    await behind.next();
    await behind.next();
    const other = plant({ frames: [started(), says("b")] });
    plant({ seq: 2, prev: chainOf(other.bytes), frames: [says("c"), succeeds] });
    expect((await readAll(two.clock, two.asker.process(), record)).text).toBe("bc");
    expect(await codeOf(two.clock, behind.next())).toBe("FRAME_CHAIN_BROKEN");
    expect((await readAll(two.clock, box, record)).text).toBe("bc");
  });

  it("is not told of an attempt that lies below the one it was told of", async () => {
    const first = plant({ frames: [started()] });
    const ahead = follow(box, record.runId);
    await ahead.next();
    plant({ attempt: 2, frames: [started(2), says("two")] });
    expect((await two.clock.until(ahead.next())).value).toMatchObject({ attempt: 2 });
    expect((await two.clock.until(ahead.next())).value).toMatchObject({ attempt: 2 });
    plant({ seq: 1, prev: chainOf(first.bytes), frames: [says("one"), succeeds] });
    expect((await readAll(two.clock, two.asker.process(), record)).text).toBe("one");
    expect(await codeOf(two.clock, ahead.next())).toBe("FRAME_CHAIN_BROKEN");
  });
});

it("is RUN_UNKNOWN, and no damage, when retention takes a closed run while it is told again", async () => {
  answer();
  await readAll(two.clock, box, record);
  two.clock.jump(limits.retentionMs + 1000);
  const telling = follow(box, record.runId).next();
  const collected = two.asker.process().state.collect({ ...limits, limit: 10 });
  expect(await codeOf(two.clock, telling)).toBe("RUN_UNKNOWN");
  expect(await collected).toMatchObject({ outbox: 1 });
});

describe("a follower that slept through retention, while the run was asked anew", () => {
  const asleepAndAnew = async (broughtBack: number) => {
    const first = plant({ frames: [started(), says("old")] });
    const asleep = follow(box, record.runId);
    await asleep.next();
    await asleep.next();
    const rest = plant({ seq: 2, prev: chainOf(first.bytes), frames: [succeeds] });
    await readAll(two.clock, box, record);
    two.clock.jump(limits.retentionMs + 1000);
    await box.state.collect({ ...limits, limit: 10 });
    const anew = await two.asks(box, "other", { ttlMs: 600_000 });
    expect(anew.runId).toBe(record.runId);
    for (const { key, bytes } of [first, rest].slice(0, broughtBack)) two.store.plant(key, bytes);
    return { asleep, anew };
  };

  it("does not close it with the frames of before, which the bucket has brought back", async () => {
    const { asleep } = await asleepAndAnew(2);
    expect(await codeOf(two.clock, asleep.next())).toBe("RUN_UNKNOWN");
    expect(await state()).toBe("open");
  });

  it("is not told the answer to what was asked instead", async () => {
    const { asleep, anew } = await asleepAndAnew(0);
    plant({ requestDigest: anew.requestDigest, frames: [started(), says("new"), succeeds] });
    await readAll(two.clock, box, anew);
    expect(await codeOf(two.clock, asleep.next())).toBe("RUN_UNKNOWN");
  });
});

describe("a gap", () => {
  it("is waited for, and the request is sent again meanwhile", async () => {
    const first = plant({ frames: [started()] });
    const reading = readAll(two.clock, box, record);
    await two.clock.advance(limits.resendAnsweredMs / 2);
    plant({ seq: 1, prev: chainOf(first.bytes), frames: [succeeds] });
    expect((await reading).followed).toEqual(closed);
  });

  it("with a torn object in it stays one", async () => {
    two.store.plant(framesKeyOf(two.asker, two.doer, record), utf8("torn"));
    const reading = readAll(two.clock, box, record);
    await two.clock.advance(10_000);
    expect(await state()).toBe("open");
    answer();
    expect((await reading).followed).toEqual(closed);
  });
});

describe("a broken chain", () => {
  beforeEach(() => {
    plant({ frames: [started()] });
    plant({ seq: 1, prev: chainOf(utf8("other")), frames: [succeeds] });
  });

  it("fails closed: it is no terminal", async () => {
    expect(await codeOf(two.clock, readAll(two.clock, box, record))).toBe("FRAME_CHAIN_BROKEN");
    expect(await state()).not.toBe("closed");
  });

  it("is answered by a higher attempt, also for who begins to follow only now", async () => {
    plant({ attempt: 2, frames: [succeeds] });
    expect((await readAll(two.clock, box, record)).followed).toEqual(closed);
    expect((await box.state.transcript(record.runId))?.attempt).toBe(2);
  });
});

describe("silence", () => {
  it("until expiry and a grace is `unknown`, never a made-up terminal", async () => {
    const read = await readAll(two.clock, box, record);
    expect(read).toMatchObject({ followed: { status: "unknown" }, frames: [] });
    expect(two.clock.now()).toBeGreaterThan(record.exp * 1000 + limits.unknownGraceMs);
    expect(await state()).toBe("unknown");
  });

  it("counts from the deadline where there is one", async () => {
    const hurried = await two.asks(box, "hi", { idempotencyKey: "k2", deadlineMs: 1000 });
    await readAll(two.clock, box, hurried);
    expect(two.clock.now()).toBeLessThan(record.exp * 1000 + limits.unknownGraceMs);
  });

  it("by a clock that was ahead is none once the clock is right", async () => {
    const lookOnce = () => readAll(two.clock, box, record, { once: true });
    two.clock.jump(4 * 3_600_000);
    expect((await lookOnce()).followed.status).toBe("unknown");
    two.clock.jump(-4 * 3_600_000);
    expect((await lookOnce()).followed.status).toBe("open");
    expect(await state()).toBe("open");
  });

  it("is over when a late answer comes: it still counts", async () => {
    await readAll(two.clock, box, record);
    answer();
    expect((await readAll(two.clock, box, record)).followed).toEqual(closed);
    expect(await state()).toBe("closed");
  });
});

describe("single looks", () => {
  const rarelyLists = () => ({ ...box, random: { ...box.random, fraction: () => 0.9 } });
  const lookOnce = () => readAll(two.clock, rarelyLists(), record, { once: true });
  const reads = () => two.asker.calls.splice(0).filter((call) => call === "get frames").length;

  it("go on from where the last one came to, and read everything once more to close the run", async () => {
    const first = plant({ frames: [started(), says("a")] });
    await lookOnce();
    expect(reads()).toBe(3);
    await lookOnce();
    expect(reads()).toBe(2);
    plant({ seq: 2, prev: chainOf(first.bytes), frames: [says("b"), succeeds] });
    expect((await lookOnce()).followed).toEqual(closed);
    expect(reads()).toBe(3);
    expect((await box.state.transcript(record.runId))?.envelopes).toHaveLength(2);
  });

  it("close a run whose higher attempt they came upon half-way", async () => {
    plant({ frames: [started()] });
    const second = plant({ attempt: 2, frames: [started(2), says("a")] });
    await readAll(two.clock, { ...box, random: { ...box.random, fraction: () => 0 } }, record, {
      once: true,
    });
    plant({ attempt: 2, seq: 2, prev: chainOf(second.bytes), frames: [succeeds] });
    expect((await lookOnce()).followed).toEqual(closed);
    expect(await two.keys("asker/frames/")).toEqual([]);
  });

  it("read so much of one answer and leave the rest to the next one, until they can close the run", async () => {
    let before = plant({ frames: [started()] });
    const envelopes = limits.envelopesPerLook + 5;
    for (let seq = 1; seq < envelopes; seq += 1) {
      const frames = seq === envelopes - 1 ? [succeeds] : [says(".")];
      before = plant({ seq, prev: chainOf(before.bytes), frames });
    }
    expect((await lookOnce()).followed).toEqual({ status: "open" });
    expect(reads()).toBe(limits.envelopesPerLook);
    expect((await lookOnce()).followed).toEqual(closed);
    expect((await box.state.transcript(record.runId))?.envelopes).toHaveLength(envelopes);
  });

  it("read nothing twice of a run that thinks, or goes on, past its expiry", async () => {
    const saidNow = (seq: number, before?: Uint8Array) => {
      const frame = seq === 0 ? started() : says(".");
      const prev = before === undefined ? {} : { prev: chainOf(before) };
      return plant({ seq, ...prev, frames: [{ ...frame, at: two.clock.now() }] }).bytes;
    };
    let last = saidNow(0);
    for (let seq = 1; seq < 20; seq += 1) last = saidNow(seq, last);
    await lookOnce();
    two.clock.jump(600_000 + 2 * limits.unknownGraceMs);
    reads();
    expect((await lookOnce()).followed).toEqual({ status: "open" });
    expect(reads()).toBe(2);
    saidNow(20, last);
    expect((await lookOnce()).followed).toEqual({ status: "open" });
    expect(reads()).toBe(3);
    two.clock.jump(2 * limits.defaultMaxRunMs);
    expect((await lookOnce()).followed).toEqual({ status: "unknown" });
    expect(reads()).toBe(1);
  });

  it("believe no chain that does not go on from what they read before", async () => {
    plant({ frames: [started(), says("a")] });
    await lookOnce();
    plant({ seq: 2, prev: new Uint8Array(32).fill(7), frames: [succeeds] });
    expect(await codeOf(two.clock, lookOnce())).toBe("FRAME_CHAIN_BROKEN");
    expect(await state()).toBe("open");
  });
});

describe("asking and waiting", () => {
  it("one look costs two reads, and leaves the run open", async () => {
    const quiet = {
      ...box,
      random: { ...box.random, bytes: () => new Uint8Array(), fraction: () => 0.9 },
    };
    expect((await readAll(two.clock, quiet, record, { once: true })).followed).toEqual({
      status: "open",
    });
    expect(two.asker.calls).toEqual(["get frames", "get frames"]);
  });

  it("one look finds the answer of a run that was taken over", async () => {
    plant({ attempt: 2, frames: [started(2), succeeds] });
    const rarelyLists = { ...box, random: { ...box.random, fraction: () => 0.9 } };
    expect((await readAll(two.clock, rarelyLists, record, { once: true })).followed).toEqual(
      closed,
    );
  });

  it("lists only now and then while nothing comes", async () => {
    const patience = new AbortController();
    const reading = readAll(two.clock, box, record, { signal: patience.signal });
    await two.clock.advance(50_000);
    patience.abort();
    await reading;
    const gets = two.asker.calls.filter((call) => call === "get frames").length;
    const lists = two.asker.calls.filter((call) => call === "list frames").length;
    expect(gets).toBeGreaterThan(20);
    expect(lists).toBe(1);
    expect(gets).toBeLessThan(2 * limits.followLooksPerList);
  });

  it("stops when it is told to, and the run goes on", async () => {
    const patience = new AbortController();
    const reading = readAll(two.clock, box, record, { signal: patience.signal });
    await two.clock.advance(5000);
    patience.abort();
    expect((await reading).followed).toEqual({ status: "open" });
    expect(await state()).toBe("open");
  });

  it("knows only what was asked from here", async () => {
    expect(await codeOf(two.clock, follow(box, runOf("z")).next())).toBe("RUN_UNKNOWN");
  });
});

it("reads nothing under an own trust document that has expired", async () => {
  await pass(two.clock, two.doer.process());
  two.asker.trustExpires = "2020-01-01T00:00:00Z";
  expect(await codeOf(two.clock, readAll(two.clock, box, record))).toBe("TRUST_EXPIRED");
  two.asker.trustExpires = "2099-01-01T00:00:00Z";
  expect((await readAll(two.clock, box, record)).followed.status).toBe("closed");
});

describe("a run that answers", () => {
  it("is not called unknown while it may still be thinking, and is when that is over", async () => {
    plant({ frames: [{ ...started(), at: two.clock.now() + 3_000_000 }] });
    two.clock.jump(3_000_000);
    const soon = await readAll(two.clock, box, record, { once: true });
    expect(soon.followed.status).toBe("open");
    two.clock.jump(limits.defaultMaxRunMs + limits.maxRunGraceMs + 2 * limits.unknownGraceMs);
    const later = await readAll(two.clock, box, record, { once: true });
    expect(later.followed.status).toBe("unknown");
  });

  it("again after it was called unknown is open again, and kept until it is silent anew", async () => {
    const lookOnce = () => readAll(two.clock, box, record, { once: true });
    const first = plant({ frames: [{ ...started(), at: two.clock.now() }] });
    two.clock.jump(4 * limits.defaultMaxRunMs);
    expect((await lookOnce()).followed.status).toBe("unknown");
    two.clock.jump(limits.retentionMs);
    const goesOn = { ...says("a"), at: two.clock.now() };
    plant({ seq: 1, prev: chainOf(first.bytes), frames: [goesOn] });
    expect((await lookOnce()).followed.status).toBe("open");
    expect(await state()).toBe("open");
    two.clock.jump(1000);
    await box.state.collect({ ...limits, limit: 10 });
    expect(await state()).toBe("open");
    two.clock.jump(2 * limits.defaultMaxRunMs);
    expect((await lookOnce()).followed.status).toBe("unknown");
    expect((await lookOnce()).followed.status).toBe("unknown");
    two.clock.jump(limits.retentionMs + 1000);
    await box.state.collect({ ...limits, limit: 10 });
    expect(await state()).toBeUndefined();
  });

  it("is not open for ever because its frames are dated far ahead", async () => {
    plant({ frames: [{ ...started(), at: two.clock.now() + 1000 * limits.defaultMaxRunMs }] });
    two.clock.jump(4 * limits.defaultMaxRunMs);
    const read = await readAll(two.clock, box, record, { once: true });
    expect(read.followed.status).toBe("unknown");
  });

  it("whose chain is broken becomes unknown once there is no time left", async () => {
    plant({ frames: [started()] });
    plant({ frames: [says("a")], seq: 1, prev: new Uint8Array(32).fill(7) });
    expect(await codeOf(two.clock, readAll(two.clock, box, record))).toBe("FRAME_CHAIN_BROKEN");
    two.clock.jump(24 * 3_600_000);
    expect((await readAll(two.clock, box, record)).followed.status).toBe("unknown");
    expect(await state()).toBe("unknown");
  });
});
