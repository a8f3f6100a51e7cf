import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName, type ObjectKey } from "../../src/base/names.ts";
import { admit, type AdmitResult } from "../../src/mailbox/admit.ts";
import { scanInbox } from "../../src/mailbox/inbox.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { decodeFrames } from "../../src/protocol/frame.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { requestKinds } from "../../src/protocol/request.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { plantFrames, plantRequest, started, says, framesKeyOf } from "../support/forged.ts";
import { runOf } from "../support/receipts.ts";
import {
  agent,
  bytesAt,
  codeOf,
  plainGrants,
  realm,
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

/** Takes everything that waits through admission, as a pass does. */
async function admitAll(by: Mailbox = box): Promise<string[]> {
  const told: string[] = [];
  for await (const page of scanInbox(by)) {
    for (const waiting of page.waiting) told.push(wordOf(await admit(by, waiting, maxRunOf)));
  }
  return told;
}

function wordOf(result: AdmitResult): string {
  return "code" in result ? `${result.status} ${result.code}` : result.status;
}

const lies = async (key: ObjectKey): Promise<boolean> =>
  (await bytesAt(two.store, key)) !== undefined;

/** How the attempt that a receipt ended with says it ended, read from the store. */
async function published(at: ObjectKey) {
  const bytes = (await bytesAt(two.store, at)) ?? new Uint8Array();
  const payload = parseEnvelope("frames", bytes).verify(two.doer.signingKey.publicKey, {
    realm,
    key: at,
  });
  return decodeFrames(payload).frames.at(-1)?.payload;
}

it("admits a request: its receipt stands, and the request stays until it is answered", async () => {
  const { key, requestDigest } = plantRequest(two);
  expect(await admitAll()).toEqual(["admitted"]);
  const receipt = two.doer.onlyReceipt;
  expect([receipt.state, receipt.admitted, receipt.requestDigest]).toEqual([
    "admitted",
    true,
    requestDigest,
  ]);
  expect(await lies(key)).toBe(true);
});

it("follows the receipt of the same bytes: a second look admits nothing", async () => {
  plantRequest(two);
  await admitAll();
  expect(await admitAll(two.doer.process())).toEqual(["exists"]);
  expect(two.doer.receipts).toHaveLength(1);
});

describe("what does not verify goes to quarantine unanswered, with its code", () => {
  const stranger = parseGatewayName("stranger");
  const otherKey = signingKeyFromSeed(new Uint8Array(32).fill(9));

  it.each<[string, () => void]>([
    ["PEER_UNKNOWN", () => void (two.doer.peers = {})],
    ["KEY_UNKNOWN", () => void plantRequest(two, { signingKey: otherKey })],
    ["KEY_REVOKED", () => two.doer.trusts(two.asker, plainGrants, { revoked: true })],
    [
      "KEY_OUTSIDE_WINDOW",
      () => two.doer.trusts(two.asker, plainGrants, { notAfter: "2029-01-01T00:00:00Z" }),
    ],
    ["SIGNATURE_INVALID", () => void plantRequest(two, { signedFor: "elsewhere" })],
    ["AUDIENCE_MISMATCH", () => void plantRequest(two, { aud: stranger })],
    ["ISSUER_MISMATCH", () => void plantRequest(two, { saysGateway: stranger })],
    ["RUN_ID_MISMATCH", () => void plantRequest(two, { runId: runOf("a") })],
    ["TTL_INVALID", () => void plantRequest(two, { ttlSeconds: 0 })],
    ["TTL_INVALID", () => void plantRequest(two, { ttlSeconds: limits.maxTtlMs / 1000 + 1 })],
    ["PAYLOAD_INVALID", () => void plantRequest(two, { payload: utf8("no") })],
    ["CBOR_MALFORMED", () => two.store.plant(plantRequest(two).key, Uint8Array.of(0xd2, 24))],
  ])("%s", async (code, change) => {
    const { key } = plantRequest(two);
    await two.store.delete(key);
    change();
    if ((await two.keys("doer/inbox/")).length === 0) plantRequest(two);
    expect(await admitAll()).toEqual([expect.stringMatching(/^quarantined /)]);
    const got = two.doer.quarantined.map((entry) => entry.code);
    expect(got).toEqual([
      code === "PAYLOAD_INVALID" ? expect.stringMatching(/^(?:PAYLOAD|CBOR)_/) : code,
    ]);
    expect(two.doer.quarantined.every(({ kept }) => kept)).toBe(true);
    expect(await two.keys("doer/inbox/")).toEqual([]);
    expect(await two.keys("asker/frames/")).toEqual([]);
    expect(two.doer.receipts).toEqual([]);
  });

  it("ISSUER_MISMATCH for a peer that writes under another peer's name", async () => {
    two.doer.peers["other"] = two.doer.peers["asker"];
    two.doer.peers["asker"] = {
      keys: [{ publicKey: "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik", use: "gateway" }],
    };
    plantRequest(two, { iss: parseGatewayName("other") });
    expect(await admitAll()).toEqual(["quarantined ISSUER_MISMATCH"]);
  });

  it("OBJECT_TOO_LARGE by the listing: recorded by name and size, left in place, never read", async () => {
    const { key } = plantRequest(two);
    two.store.plant(key, new Uint8Array(limits.maxEnvelopeBytes + 1));
    expect(await admitAll()).toEqual(["quarantined OBJECT_TOO_LARGE"]);
    expect(two.doer.quarantined).toEqual([{ code: "OBJECT_TOO_LARGE", kept: false }]);
    expect(await lies(key)).toBe(true);
    expect(two.doer.calls).not.toContain("get request");
  });

  it("OBJECT_TOO_LARGE for an object that grew after it was listed", async () => {
    const { key } = plantRequest(two);
    for await (const page of scanInbox(box)) {
      two.store.plant(key, new Uint8Array(limits.maxEnvelopeBytes + 1));
      for (const waiting of page.waiting) {
        expect(wordOf(await admit(box, waiting, maxRunOf))).toBe("quarantined OBJECT_TOO_LARGE");
      }
    }
    expect(await lies(key)).toBe(true);
  });
});

describe("the own trust document", () => {
  it("stops admission once it has expired, and the request stays", async () => {
    const { key } = plantRequest(two);
    two.doer.trustExpires = "2029-12-31T00:00:00Z";
    expect(await codeOf(two.clock, admitAll())).toBe("TRUST_EXPIRED");
    expect([await lies(key), two.doer.receipts, two.doer.quarantined]).toEqual([true, [], []]);
  });

  it("that has expired quarantines nothing either: a key that it lacks may be in the next one", async () => {
    const { key } = plantRequest(two);
    two.doer.trustExpires = "2029-12-31T00:00:00Z";
    two.doer.peers = {};
    expect(await codeOf(two.clock, admitAll())).toBe("TRUST_EXPIRED");
    expect([await lies(key), two.doer.quarantined]).toEqual([true, []]);
  });

  it("older than one that was in force stops admission", async () => {
    two.doer.trustVersion = 2;
    plantRequest(two);
    expect(await admitAll()).toEqual(["admitted"]);
    two.doer.trustVersion = 1;
    const { key } = plantRequest(two, { idempotencyKey: "k2" });
    expect(await codeOf(two.clock, admitAll())).toBe("TRUST_ROLLED_BACK");
    expect(await lies(key)).toBe(true);
  });

  it("stops admission while it cannot be read, and the request stays", async () => {
    const { key } = plantRequest(two);
    two.doer.trustFailure = new PosternError("TRUST_INVALID", "made up by a test");
    expect(await codeOf(two.clock, admitAll())).toBe("TRUST_INVALID");
    expect([await lies(key), two.doer.receipts, two.doer.quarantined]).toEqual([true, [], []]);
  });
});

describe("a refusal", () => {
  it.each([
    ["an agent that is not granted", { more: { agentTarget: parseAgentName("secret") } }],
    ["an agent that is granted and not there", { more: { agentTarget: parseAgentName("gone") } }],
    ["a request that passed through here", { more: { via: [parseGatewayName("doer")] } }],
  ])("says NOT_GRANTED and nothing else for %s", async (_what, unusual) => {
    two.doer.trusts(two.asker, { ...plainGrants, agents: ["work", "gone"] });
    const planted = plantRequest(two, unusual);
    expect(await admitAll()).toEqual(["answered NOT_GRANTED"]);
    expect(await published(framesKeyOf(two.asker, two.doer, planted))).toEqual({
      status: "refused",
      error: { code: "NOT_GRANTED", message: "not granted to this peer, or not known here" },
    });
    expect(await lies(planted.key)).toBe(false);
  });

  it("says NOT_GRANTED to an approval grant, whatever is granted", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, kinds: [...requestKinds] });
    const body = { kind: "approvalGrant", approvalGrant: Uint8Array.of(1) } as const;
    plantRequest(two, { more: { body } });
    expect(await admitAll()).toEqual(["answered NOT_GRANTED"]);
  });

  it("is committed before it is published: a store that fails then cannot undo it", async () => {
    const planted = plantRequest(two, { more: { agentTarget: parseAgentName("secret") } });
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes("/frames/")
        ? { when: "before", code: "STORE_UNREACHABLE" }
        : undefined;
    expect(await codeOf(two.clock, admitAll())).toBe("STORE_UNREACHABLE");
    const { state, admitted, ended } = two.doer.onlyReceipt;
    expect([state, admitted, ended?.acknowledged]).toEqual(["ended", false, false]);
    // Granted in the meantime: the refusal stands, and the request does not run.
    two.doer.trusts(two.asker, { ...plainGrants, agents: ["work", "secret"] });
    two.doer.trouble = () => undefined;
    expect(await admitAll()).toEqual(["exists"]);
    expect(await published(framesKeyOf(two.asker, two.doer, planted))).toMatchObject({
      status: "refused",
    });
    expect(two.doer.onlyReceipt.ended?.acknowledged).toBe(true);
  });

  it("answers a second digest under its own path, and never runs it later", async () => {
    plantRequest(two, { text: "first" });
    await admitAll();
    const second = plantRequest(two, { text: "second" });
    expect(await admitAll()).toEqual(["answered IDEMPOTENCY_CONFLICT"]);
    expect(await published(framesKeyOf(two.asker, two.doer, second))).toMatchObject({
      status: "refused",
    });
    two.store.plant(second.key, second.bytes);
    expect(await admitAll()).toEqual(["exists"]);
    expect(two.doer.receipts.filter(({ admitted }) => admitted)).toHaveLength(1);
  });

  it("of a size says TOO_LARGE", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxRequestBytes: 300 });
    plantRequest(two, { text: "x".repeat(300) });
    expect(await admitAll()).toEqual(["answered TOO_LARGE"]);
  });
});

it("what is larger than granted leaves no more than its refusal behind, whatever that says", async () => {
  two.doer.trusts(two.asker, { ...plainGrants, maxRequestBytes: 1024 });
  const text = "x".repeat(100_000);
  plantRequest(two, { text });
  plantRequest(two, {
    text,
    idempotencyKey: "k2",
    more: { agentTarget: parseAgentName("secret") },
  });
  expect((await admitAll()).toSorted()).toEqual(["answered NOT_GRANTED", "answered TOO_LARGE"]);
  expect(two.doer.receipts.map(({ request }) => request.length)).toEqual([0, 0]);
  plantRequest(two, { text });
  expect(await admitAll()).toEqual(["exists"]);
  expect(await two.keys("doer/inbox/")).toEqual([]);
});

describe("a cancel", () => {
  it("that lies beside the request keeps it from running", async () => {
    const asker = two.asker.process();
    const record = await two.asks(asker, "hi");
    await cancelRun(asker, record.runId);
    expect(await admitAll()).toEqual(["answered CANCELLED"]);
    expect(two.doer.onlyReceipt.admitted).toBe(false);
  });

  it("that does not verify is none", async () => {
    const asker = two.asker.process();
    const record = await two.asks(asker, "hi");
    await cancelRun(asker, record.runId);
    const [, cancel] = await two.keys("doer/inbox/");
    if (cancel === undefined) throw new Error("there is no cancel");
    two.store.plant(cancel, utf8("anything"));
    expect(await admitAll()).toEqual(["admitted"]);
  });
});

it("a cancel that the store is slow to give out keeps its request from nothing", async () => {
  const { runId, requestDigest } = plantRequest(two);
  const [to, from] = [two.doer.name, two.asker.name];
  const digest16 = digest16Of(requestDigest);
  two.store.plant(objectKey({ kind: "cancel", to, from, runId, digest16 }), utf8("junk"));
  two.doer.trouble = ({ operation, name }) => {
    if (operation === "get" && name.endsWith(".cancel")) two.clock.jump(limits.ownerLookMs);
    return undefined;
  };
  expect(await admitAll()).toEqual(["admitted"]);
});

describe("what may change leaves the request where it is", () => {
  it("a full quota", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
    plantRequest(two, { idempotencyKey: "a" });
    plantRequest(two, { idempotencyKey: "b" });
    expect((await admitAll()).toSorted()).toEqual(["admitted", "waits QUOTA_REACHED"]);
    expect(await two.keys("doer/inbox/")).toHaveLength(2);
    expect(two.doer.receipts).toHaveLength(1);
  });

  it("more of one idempotency key with other contents than the rate grants", async () => {
    two.doer.trusts(two.asker, { ...plainGrants, maxRequestsPerMinute: 3 });
    const answers: string[] = [];
    for (const text of ["1", "2", "3", "4"]) {
      plantRequest(two, { text });
      answers.push(...(await admitAll()));
    }
    const conflict = "answered IDEMPOTENCY_CONFLICT";
    expect(answers).toEqual(["admitted", conflict, conflict, "waits QUOTA_REACHED"]);
    expect(two.doer.receipts).toHaveLength(3);
    two.clock.jump(limits.rateWindowMs);
    expect(await admitAll()).toEqual([conflict]);
  });

  it("a signature from the future", async () => {
    plantRequest(two, { iatIn: limits.skewMs / 1000 + 1 });
    expect(await admitAll()).toEqual(["waits ISSUED_IN_FUTURE"]);
    two.clock.jump(1000);
    expect(await admitAll()).toEqual(["admitted"]);
  });
});

describe("what comes too late for an answer to be believed", () => {
  it("is kept in quarantine, gets no answer, and never runs", async () => {
    const planted = plantRequest(two);
    two.clock.jump(600_000 + 2 * limits.skewMs);
    expect(await admitAll()).toEqual(["quarantined RECEIVED_TOO_LATE"]);
    expect(two.doer.quarantined).toEqual([{ code: "RECEIVED_TOO_LATE", kept: true }]);
    expect(two.doer.onlyReceipt.ended?.terminal).toBeNull();
    expect(await two.keys("asker/frames/")).toEqual([]);
    expect(await lies(planted.key)).toBe(false);
  });

  it("is kept in quarantine as well when the process died before it came to that", async () => {
    const planted = plantRequest(two);
    two.clock.jump(600_000 + 2 * limits.skewMs);
    await admitAll();
    two.doer.disk.content.quarantine.clear();
    two.store.plant(planted.key, planted.bytes);
    expect(await admitAll()).toHaveLength(1);
    expect(two.doer.quarantined).toEqual([{ code: "RECEIVED_TOO_LATE", kept: true }]);
  });
});

it("by a state that no longer serves the name takes nothing out of the inbox", async () => {
  const { key } = plantRequest(two, { signedFor: "elsewhere" });
  await claimedElsewhere(box.state, two.clock.now());
  expect(await codeOf(two.clock, admitAll())).toBe("STATE_ELSEWHERE");
  expect([await lies(key), two.doer.quarantined]).toEqual([true, []]);
});

describe("after the state was recovered", () => {
  it("what was signed before ends STATE_LOST, above the highest attempt of our own", async () => {
    const planted = plantRequest(two);
    plantFrames(two, { ...planted, attempt: 1, frames: [started(1)] });
    plantFrames(two, { ...planted, attempt: 3, frames: [started(3), says("x")] });
    two.store.plant(framesKeyOf(two.asker, two.doer, planted, 7), utf8("not ours"));
    two.clock.jump(1000);
    await box.state.recover();
    expect(await admitAll()).toEqual(["answered STATE_LOST"]);
    expect(await published(framesKeyOf(two.asker, two.doer, planted, 4))).toMatchObject({
      status: "interrupted",
      error: { code: "STATE_LOST" },
    });
    expect(two.doer.onlyReceipt.attempt).toBe(4);
  });

  it("what was signed before waits where very many frames of its run are not ours: STORE_UNSAFE", async () => {
    const planted = plantRequest(two);
    plantFrames(two, { ...planted, attempt: 2, frames: [started(2)] });
    for (let seq = 1; seq <= 1000; seq += 1) {
      two.store.plant(framesKeyOf(two.asker, two.doer, planted, 2, seq), utf8("not ours"));
      two.store.plant(framesKeyOf(two.asker, two.doer, planted, 5, seq), utf8("not ours"));
    }
    await box.state.recover();
    expect(await codeOf(two.clock, admitAll())).toBe("STORE_UNSAFE");
    const reads = two.doer.calls.filter((call) => call === "get frames");
    expect(reads).toHaveLength(1 + limits.attemptsPerLook);
    expect(two.doer.receipts).toEqual([]);
  });

  it("what is signed minutes after the name was claimed runs, and nothing before that", async () => {
    await box.state.recover();
    two.clock.jump(limits.recoveryMs);
    plantRequest(two);
    expect(await admitAll()).toEqual(["answered STATE_LOST"]);
    two.clock.jump(limits.recoveryMs);
    plantRequest(two, { idempotencyKey: "later" });
    expect(await admitAll()).toEqual(["admitted"]);
  });
});
