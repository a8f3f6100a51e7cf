import { beforeEach, describe, expect, it } from "vitest";
import { toBase64Url, utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName } from "../../src/base/names.ts";
import { admit } from "../../src/mailbox/admit.ts";
import { scanInbox } from "../../src/mailbox/inbox.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import { strangersBucket } from "../../src/mailbox/quarantine.ts";
import { previewRelease, releasableOf, releasedRequests } from "../../src/mailbox/release.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import type { QuarantineEntry } from "../../src/state/quarantine.ts";
import type { State } from "../../src/state/state.ts";
import { aroundState } from "../support/around-state.ts";
import { plantRequest } from "../support/forged.ts";
import { digestOf, runOf } from "../support/receipts.ts";
import {
  agent,
  bytesAt,
  codeOf,
  plainGrants,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.doer.process();
});

const maxRunOf = (name: string) => (name === agent ? 60_000 : undefined);

/** Puts whatever waits through admission, as a pass does. */
async function admitAll(by: Mailbox = box): Promise<string[]> {
  const told: string[] = [];
  for await (const page of scanInbox(by)) {
    for (const waiting of page.waiting) {
      const result = await admit(by, waiting, maxRunOf);
      told.push("code" in result ? `${result.status} ${result.code}` : result.status);
    }
  }
  return told;
}

const entries = (): QuarantineEntry[] => [...two.doer.disk.content.quarantine.values()];

function onlyEntry(): QuarantineEntry {
  const [entry, ...more] = entries();
  if (entry === undefined || more.length > 0) throw new Error("not exactly one entry");
  return entry;
}

/** A request that was refused while its sender was a stranger, who is a peer now. */
async function refusedStranger(unusual: Parameters<typeof plantRequest>[1] = {}) {
  two.doer.peers = {};
  const planted = plantRequest(two, unusual);
  expect(await admitAll()).toEqual(["quarantined PEER_UNKNOWN"]);
  two.doer.trusts(two.asker);
  return planted;
}

async function release(): Promise<void> {
  for (const { id } of entries()) expect(await box.state.releaseQuarantined(id)).toBe("released");
}

/** The same process, whose state fails at one kind of step until it is told otherwise. */
function failingAt(step: keyof State) {
  const trouble = { on: true };
  const failing = aroundState(box, (name, take) =>
    trouble.on && name === step ? Promise.reject(new Error("made up by a test")) : take(),
  );
  return { box: failing, trouble };
}

it("is admitted once it verifies, under the name and the times it was signed for", async () => {
  const { bytes, requestDigest } = await refusedStranger();
  two.clock.jump(60_000);
  expect(await admitAll()).toEqual([]);
  await release();
  expect(await admitAll()).toEqual(["admitted"]);
  expect(two.doer.onlyReceipt).toMatchObject({
    requestDigest,
    request: bytes,
    iat: Date.UTC(2030, 0, 1) / 1000,
    exp: Date.UTC(2030, 0, 1) / 1000 + 600,
    receivedMs: two.clock.now(),
  });
  expect(entries()).toEqual([]);
});

describe("a release vouches for nothing", () => {
  it("what still does not verify is refused anew, in the place where it was", async () => {
    await refusedStranger({ signedFor: "elsewhere" });
    const before = onlyEntry();
    two.clock.jump(1000);
    await release();
    expect(await admitAll()).toEqual(["quarantined SIGNATURE_INVALID"]);
    const { code, detail, ...same } = onlyEntry();
    expect(code).toBe("SIGNATURE_INVALID");
    expect(detail).not.toBe(before.detail);
    expect(same).toMatchObject({
      id: before.id,
      bucket: strangersBucket,
      bytes: before.bytes,
      released: false,
      atMs: two.clock.now(),
    });
    expect(await admitAll()).toEqual([]);
  });

  it.each<[string, string, () => unknown]>([
    ["NOT_GRANTED", "answered", () => two.doer.trusts(two.asker, { ...plainGrants, agents: [] })],
    ["EXPIRED", "answered", () => two.clock.jump(600_000 + limits.skewMs)],
    ["STATE_LOST", "answered", () => box.state.recover()],
    ["IDEMPOTENCY_CONFLICT", "answered", () => admitAnother()],
    ["RECEIVED_TOO_LATE", "quarantined", () => two.clock.jump(600_000 + 2 * limits.skewMs)],
  ])("%s is what another request would be told", async (code, status, change) => {
    await refusedStranger();
    await change();
    await release();
    expect(await admitAll()).toEqual([`${status} ${code}`]);
    expect(entries().map((entry) => [entry.code, entry.released])).toEqual(
      status === "quarantined" ? [[code, false]] : [],
    );
    expect(two.doer.receipts.every(({ starts }) => starts === 0)).toBe(true);
  });

  async function admitAnother(): Promise<void> {
    const { key } = plantRequest(two, { text: "another" });
    expect(await admitAll()).toEqual(["admitted"]);
    await two.store.delete(key);
  }

  it("a cancel is looked for by its key, since no listing tells of it", async () => {
    two.doer.peers = {};
    const asker = two.asker.process();
    const record = await two.asks(asker, "hi");
    expect(await admitAll()).toEqual(["quarantined PEER_UNKNOWN"]);
    two.doer.trusts(two.asker);
    await release();
    const [waiting] = await releasedRequests(box);
    await cancelRun(asker, record.runId);
    if (waiting === undefined) throw new Error("nothing is released");
    expect(await admit(box, waiting, maxRunOf)).toMatchObject({ code: "CANCELLED" });
  });
});

describe("what may change leaves it released", () => {
  it("a full quota", async () => {
    await refusedStranger({ idempotencyKey: "a" });
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    plantRequest(two, { idempotencyKey: "b" });
    expect(await admitAll()).toEqual(["admitted"]);
    await release();
    expect(await admitAll()).toEqual(["waits QUOTA_REACHED", "exists"]);
    expect(onlyEntry().released).toBe(true);
  });

  it("an own trust document that cannot be used", async () => {
    await refusedStranger();
    await release();
    two.doer.trustExpires = "2029-12-31T00:00:00Z";
    expect(await codeOf(two.clock, admitAll())).toBe("TRUST_EXPIRED");
    expect([onlyEntry().released, onlyEntry().code]).toEqual([true, "PEER_UNKNOWN"]);
    two.doer.trustExpires = "2099-01-01T00:00:00Z";
    expect(await admitAll()).toEqual(["admitted"]);
  });

  it("a store that is away before the receipt stands: nothing has happened", async () => {
    await refusedStranger();
    await release();
    two.clock.jump(2 * limits.ownerLookMs);
    two.doer.trouble = ({ name }) =>
      name.includes("/owner/") ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
    expect(await admitAll()).toEqual(["barred"]);
    expect([two.doer.receipts, onlyEntry().released]).toEqual([[], true]);
    two.doer.trouble = () => undefined;
    expect(await admitAll()).toEqual(["admitted"]);
  });
});

describe("a crash in between", () => {
  it("after the receipt stands: the next look finds it, admits nothing, and lets the entry go", async () => {
    await refusedStranger();
    await release();
    const failing = failingAt("discardQuarantined");
    expect(await admitAll(failing.box)).toEqual(["admitted"]);
    expect([two.doer.receipts.length, onlyEntry().released]).toEqual([1, true]);
    expect(await admitAll(failing.box)).toEqual(["exists"]);
    failing.trouble.on = false;
    expect(await admitAll(failing.box)).toEqual(["exists"]);
    expect([two.doer.receipts.length, entries()]).toEqual([1, []]);
  });

  it("after a refusal is committed and before it is published: it is published, and the entry let go", async () => {
    const { key } = await refusedStranger({ more: { agentTarget: parseAgentName("secret") } });
    await release();
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes("/frames/")
        ? { when: "before", code: "STORE_UNREACHABLE" }
        : undefined;
    expect(await codeOf(two.clock, admitAll())).toBe("STORE_UNREACHABLE");
    expect(onlyEntry().released).toBe(true);
    // Granted in the meantime: the refusal stands.
    two.doer.trusts(two.asker, { ...plainGrants, agents: ["work", "secret"] });
    two.doer.trouble = () => undefined;
    expect(await admitAll()).toEqual(["exists"]);
    expect(two.doer.onlyReceipt).toMatchObject({ admitted: false, ended: { acknowledged: true } });
    expect([entries(), await bytesAt(two.store, key)]).toEqual([[], undefined]);
  });

  it("of the machine, which loses what was not durable: the receipt and the entry go or stay together", async () => {
    await refusedStranger();
    await release();
    const failing = failingAt("discardQuarantined");
    expect(await admitAll(failing.box)).toEqual(["admitted"]);
    two.doer.disk.losePower();
    expect([two.doer.receipts, onlyEntry().released]).toEqual([[], true]);
    expect(await admitAll()).toEqual(["admitted"]);
    two.doer.disk.losePower();
    expect([two.doer.receipts.length, entries()]).toEqual([1, []]);
  });

  it("another process that dealt with it, or an operator who discarded it, leaves nothing to do", async () => {
    await refusedStranger();
    await release();
    const [waiting] = await releasedRequests(box);
    if (waiting === undefined) throw new Error("nothing is released");
    await box.state.discardQuarantined(onlyEntry().id);
    expect(await admit(box, waiting, maxRunOf)).toEqual({ status: "gone" });
    expect(two.doer.receipts).toEqual([]);
  });
});

it("that another process refuses anew in between is left at that", async () => {
  await refusedStranger({ signedFor: "elsewhere" });
  await release();
  const [waiting] = await releasedRequests(box);
  if (waiting === undefined) throw new Error("nothing is released");
  expect(await admit(two.doer.process(), waiting, maxRunOf)).toMatchObject({ answer: "kept" });
  expect(await admit(box, waiting, maxRunOf)).toEqual({ status: "gone" });
});

describe("what lies under its key in the store", () => {
  it("is another object and left alone when the released one is refused anew", async () => {
    const { key } = await refusedStranger({ signedFor: "elsewhere" });
    await release();
    const [waiting] = await releasedRequests(box);
    const genuine = plantRequest(two);
    if (waiting === undefined) throw new Error("nothing is released");
    expect(await admit(box, waiting, maxRunOf)).toMatchObject({ code: "SIGNATURE_INVALID" });
    expect(await bytesAt(two.store, key)).toEqual(genuine.bytes);
  });

  it("is followed as the same request when it has the same bytes", async () => {
    const { key, bytes } = await refusedStranger();
    await release();
    two.store.plant(key, bytes);
    expect(await admitAll()).toEqual(["admitted", "exists"]);
    expect(two.doer.receipts).toHaveLength(1);
  });

  it("takes the release with it when it has the same bytes and is refused", async () => {
    const { key, bytes } = await refusedStranger({ signedFor: "elsewhere" });
    two.store.plant(key, bytes);
    await release();
    expect((await admitAll()).length).toBeGreaterThan(0);
    expect([onlyEntry().released, await bytesAt(two.store, key)]).toEqual([false, undefined]);
  });
});

it("takes turns with what waits in the inbox: before its sender's other requests, peers before strangers", async () => {
  await refusedStranger({ idempotencyKey: "a" });
  const { publicKey } = signingKeyFromSeed(new Uint8Array(32).fill(9));
  const keys = [{ publicKey: toBase64Url(publicKey.bytes), use: "gateway" }];
  two.doer.peers["zeta"] = { keys, grants: {} };
  await release();
  const { key } = plantRequest(two, { idempotencyKey: "b" });
  two.store.plant(key.replace("/asker/", "/zeta/"), utf8("x"));
  two.store.plant(key.replace("/asker/", "/aaa/"), utf8("x"));
  for await (const page of scanInbox(box)) {
    expect(page.waiting.map(({ name, released }) => [name.from, released !== undefined])).toEqual([
      ["asker", true],
      ["zeta", false],
      ["asker", false],
      ["aaa", false],
    ]);
  }
});

it("is met once in a scan, however many rounds that takes", async () => {
  await refusedStranger({ idempotencyKey: "a" });
  await release();
  const { key, runId } = plantRequest(two, { idempotencyKey: "b" });
  for (let number = 0; number <= limits.listPageKeys; number += 1)
    two.store.plant(`${key.replace(runId, "")}${number}`, utf8("x"));
  const met = [];
  for await (const page of scanInbox(box))
    met.push(page.waiting.filter(({ released }) => released !== undefined).length);
  expect(met).toEqual([1, 0]);
});

describe("what cannot be released", () => {
  const kept = {
    bucket: "asker",
    bytes: utf8("x"),
    size: 1,
    code: "SIGNATURE_INVALID",
    detail: "made up by a test",
    atMs: 1,
    id: "a".repeat(16),
    released: false,
  };
  const run = runOf("a");
  const keys = [
    `asker/frames/doer/${run}/${digestOf("b").slice(0, 16)}/0001-0000000000`,
    `doer/inbox/asker/${run}.${digestOf("b").slice(0, 16)}.cancel`,
    "doer/owner/0000000001",
    `other/inbox/asker/${run}`,
    "doer/inbox/asker/\u001b[2J",
  ];

  it.each(keys)("is no request to this gateway: %j", async (key) => {
    expect(() => releasableOf(box, { ...kept, key })).toThrow(
      expect.objectContaining({ code: "QUARANTINE_NOT_RELEASABLE" }),
    );
    // Even where something released it all the same.
    await box.state.quarantine({ ...kept, key }, { maxBytes: 9, maxEntries: 9 });
    await release();
    expect(await releasedRequests(box)).toEqual([]);
  });

  it("has no bytes here", () => {
    const key = `doer/inbox/asker/${run}`;
    expect(() => releasableOf(box, { ...kept, key, bytes: null })).toThrow(
      expect.objectContaining({ code: "QUARANTINE_NOT_RELEASABLE" }),
    );
    expect(releasableOf(box, { ...kept, key })).toMatchObject({ bytes: kept.bytes });
  });
});

describe("a preview of a release", () => {
  it("says what the next pass would do, and changes nothing", async () => {
    const preview = async () => {
      const before = structuredClone(two.doer.disk.content);
      two.doer.calls.length = 0;
      const { prospect } = await previewRelease(box, releasableOf(box, onlyEntry()), maxRunOf);
      expect(two.doer.disk.content).toEqual(before);
      expect(two.doer.calls).toEqual([]);
      return "code" in prospect ? `${prospect.status} ${prospect.code}` : prospect.status;
    };
    await refusedStranger();
    expect(await preview()).toBe("admitted");
    two.doer.peers = {};
    expect(await preview()).toBe("quarantined PEER_UNKNOWN");
  });
});
