import { beforeEach, expect, it } from "vitest";
import { toBase64Url, utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName, parseRunId, type RunId } from "../../src/base/names.ts";
import { scanInbox } from "../../src/mailbox/inbox.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import { digestOf, runOf } from "../support/receipts.ts";
import { twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
beforeEach(() => {
  two = twoGateways();
  const { publicKey } = signingKeyFromSeed(new Uint8Array(32).fill(9));
  const keys = [{ publicKey: toBase64Url(publicKey.bytes), use: "gateway" }];
  two.doer.peers["zeta"] = { keys, grants: {} };
});

/** `start` says which of the senders comes first. */
async function scan({ start = 0 } = {}) {
  const waiting = [];
  const cancels = [];
  const box = two.doer.process();
  const random = { bytes: box.random.bytes, fraction: () => start };
  for await (const page of scanInbox({ ...box, random })) {
    waiting.push(...page.waiting);
    cancels.push(...page.cancels);
  }
  return { waiting, cancels };
}

function plant(from: string, runId = runOf("a")): void {
  const name = { kind: "request", to: two.doer.name, from: parseGatewayName(from), runId } as const;
  two.store.plant(objectKey(name), utf8("x"));
}

/** As many run ids as a flood takes. */
function runNumber(count: number): RunId {
  return parseRunId(requestDigestOf(utf8(String(count))));
}

it("yields what waits, each with the cancels beside it", async () => {
  plant("asker");
  plant("asker", runOf("b"));
  const digest16 = digest16Of(digestOf("c"));
  const to = two.doer.name;
  const from = two.asker.name;
  two.store.plant(objectKey({ kind: "cancel", to, from, runId: runOf("b"), digest16 }), utf8("x"));
  const { waiting, cancels } = await scan();
  expect(
    waiting.map(({ name, size, cancels: beside }) => [name.runId, size, beside.length]),
  ).toEqual([
    [runOf("a"), 1, 0],
    [runOf("b"), 1, 1],
  ]);
  expect(cancels.map(({ name }) => name.digest16)).toEqual([digest16]);
});

it("does not take a cancel behind the end of a page for one that is not there", async () => {
  const runs = Array.from({ length: limits.listPageKeys }, (_, count) =>
    runNumber(count),
  ).toSorted();
  for (const runId of runs) plant("asker", runId);
  const last = runs.at(-1) ?? runOf("z");
  const digest16 = digest16Of(digestOf("c"));
  const [to, from] = [two.doer.name, two.asker.name];
  two.store.plant(objectKey({ kind: "cancel", to, from, runId: last, digest16 }), utf8("x"));
  const { waiting } = await scan();
  expect(waiting).toHaveLength(runs.length);
  const unsure = waiting.filter(({ listedMs }) => listedMs === null);
  expect(unsure.map(({ name, cancels }) => [name.runId, cancels])).toEqual([[last, []]]);
});

it("costs one request where nothing waits", async () => {
  await scan();
  expect(two.doer.calls).toEqual(["list inbox"]);
});

it("takes senders in turn, whatever each has waiting", async () => {
  for (const name of ["a", "b", "c"]) plant("asker", runOf(name));
  plant("zeta", runOf("d"));
  const { waiting } = await scan();
  expect(waiting.map(({ name }) => name.from)).toEqual(["asker", "zeta", "asker", "asker"]);
});

it("begins with whichever of the senders chance says", async () => {
  for (const name of ["a", "b"]) plant("asker", runOf(name));
  plant("zeta", runOf("d"));
  const { waiting } = await scan({ start: 0.5 });
  expect(waiting.map(({ name }) => name.from)).toEqual(["zeta", "asker", "asker"]);
});

it("takes peers before strangers, whose names cost nothing to invent", async () => {
  plant("aaa", runOf("a"));
  plant("bbb", runOf("b"));
  plant("zeta", runOf("d"));
  const { waiting } = await scan();
  expect(waiting.map(({ name }) => name.from)).toEqual(["zeta", "aaa", "bbb"]);
});

it("comes to another sender's request before the second page of a flood", async () => {
  const flood = limits.listPageKeys + 5;
  for (let count = 0; count < flood; count += 1) plant("asker", runNumber(count));
  plant("zeta", runOf("e"));
  const { waiting } = await scan();
  expect(waiting).toHaveLength(flood + 1);
  expect(waiting[1]?.name.from).toBe("zeta");
  expect(two.doer.calls).toEqual(["list inbox", "list inbox", "list inbox"]);
});

it("does not let a flood of one sender hide another's request", async () => {
  const flood = (limits.inboxPagesPerPeer + 3) * limits.listPageKeys;
  for (let count = 0; count < flood; count += 1) {
    two.store.plant(`doer/inbox/asker/junk${String(count).padStart(6, "0")}`, utf8("x"));
  }
  plant("asker-b");
  plant("bob");
  plant("asker.c");
  const { waiting } = await scan();
  expect(waiting.map(({ name }) => name.from)).toEqual(["asker-b", "asker.c", "bob"]);
  expect(two.doer.calls.length).toBeLessThanOrEqual(limits.inboxPagesPerPeer + 2);
});

it("hides nobody behind a name that a page ends with, and that theirs begins with", async () => {
  for (let count = 1; count < limits.listPageKeys; count += 1)
    two.store.plant(`doer/inbox/a${String(count).padStart(4, "0")}`, utf8("x"));
  two.store.plant("doer/inbox/lab", utf8("x"));
  plant("lab-eu");
  plant("lab.us");
  plant("zeta");
  const { waiting } = await scan();
  expect(waiting.map(({ name }) => name.from)).toEqual(["zeta", "lab-eu", "lab.us"]);
});

it("comes to every peer's requests behind more invented senders than it goes through", async () => {
  const flood = (limits.inboxPagesPerRound + 2) * limits.listPageKeys;
  for (let count = 0; count < flood; count += 1) {
    two.store.plant(`doer/inbox/a${String(count).padStart(6, "0")}/x`, utf8("x"));
  }
  plant("asker");
  plant("zeta");
  const { waiting } = await scan();
  expect(waiting.map(({ name }) => name.from)).toEqual(["asker", "zeta"]);
  expect(two.doer.calls.length).toBeLessThan(5 * limits.inboxPagesPerRound);
});

it("reports no more names than quarantine has room for, and says so once", async () => {
  const flood = limits.quarantineEntriesPerPeer + 500;
  for (let count = 0; count < flood; count += 1) two.store.plant(`doer/inbox/x${count}`, utf8("x"));
  for (let scans = 1; scans <= 3; scans += 1) {
    await scan();
    expect(two.doer.quarantined).toHaveLength(limits.quarantineEntriesPerPeer);
    expect(two.doer.reports).toHaveLength(limits.quarantineEntriesPerPeer + scans);
  }
});

it("reports names that no rule makes once, and leaves them where they are", async () => {
  const junk = [
    "doer/inbox/asker/..",
    "doer/inbox/asker/a\nb",
    "doer/inbox/asker/\u001b[2J",
    "doer/inbox/ASKER/x",
    `doer/inbox/asker/${runOf("a")}.x`,
  ];
  for (const name of junk) two.store.plant(name, utf8("x"));
  await scan();
  await scan();
  expect(two.doer.reports).toEqual(junk.map(() => "KEY_NAME_UNKNOWN"));
  expect(two.doer.quarantined).toEqual(junk.map(() => ({ code: "KEY_NAME_UNKNOWN", kept: false })));
  expect((await two.store.list({ prefix: "doer/", limit: 10 })).entries).toHaveLength(junk.length);
  expect(two.doer.calls.every((call) => call === "list inbox")).toBe(true);
});
