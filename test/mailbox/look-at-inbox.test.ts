import { beforeEach, describe, expect, it } from "vitest";
import { toBase64Url, utf8 } from "../../src/base/bytes.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName, parseRunId, type RunId } from "../../src/base/names.ts";
import { admit } from "../../src/mailbox/admit.ts";
import { scanInbox } from "../../src/mailbox/inbox.ts";
import { lookAtInbox, lookAtRequest, type InboxRequest } from "../../src/mailbox/look-at-inbox.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import type { Prospect } from "../../src/mailbox/preview.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import { objectKey } from "../../src/protocol/object-key.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { plantRequest } from "../support/forged.ts";
import { rejectionCode } from "../support/rejection.ts";
import { agent, plainGrants, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.doer.process();
});

const stranger = parseGatewayName("stranger");
const maxRunOf = (name: string) => (name === agent ? 60_000 : undefined);

const look = (more: { limit?: number; from?: typeof stranger } = {}) =>
  lookAtInbox(box, { limit: 100, maxRunOf, ...more });

async function lookAtOnly(): Promise<InboxRequest> {
  const { requests } = await look();
  const [request, ...others] = requests;
  if (request === undefined || others.length > 0) throw new Error("not exactly one request");
  return request;
}

/** A verdict in words: what admission does, or would do. */
function wordOf(prospect: Prospect): string {
  if (prospect.status === "exists") return `exists ${prospect.receipt.state}`;
  if (prospect.status === "answered") return `answered ${prospect.outcome.error?.code ?? ""}`;
  return "code" in prospect ? `${prospect.status} ${prospect.code}` : prospect.status;
}

/** Puts the one request that waits through admission, and says what came of it. */
async function admitOnly(): Promise<string> {
  for await (const page of scanInbox(box)) {
    const [waiting] = page.waiting;
    if (waiting === undefined) continue;
    const result = await admit(box, waiting, maxRunOf);
    if (result.status === "exists") return `exists ${result.receipt.state}`;
    return "code" in result ? `${result.status} ${result.code}` : result.status;
  }
  return "nothing waits";
}

async function asksAndCancels(): Promise<void> {
  const asker = two.asker.process();
  const record = await two.asks(asker, "hi");
  await cancelRun(asker, record.runId);
}

async function admitOther(unusual: Parameters<typeof plantRequest>[1]): Promise<void> {
  const { key } = plantRequest(two, unusual);
  expect(await admitOnly()).toBe("admitted");
  await two.store.delete(key);
}

describe("says of a request what a pass then does:", () => {
  const agents = { ...plainGrants, agents: ["work", "gone"] };

  it.each<[string, string | null, () => unknown]>([
    ["admitted", null, () => plantRequest(two)],
    [
      "quarantined PEER_UNKNOWN",
      "PEER_UNKNOWN",
      () => {
        two.doer.peers = {};
        plantRequest(two);
      },
    ],
    [
      "quarantined SIGNATURE_INVALID",
      "SIGNATURE_INVALID",
      () => plantRequest(two, { signedFor: "elsewhere" }),
    ],
    [
      "quarantined ISSUER_MISMATCH",
      "ISSUER_MISMATCH",
      () => plantRequest(two, { saysGateway: stranger }),
    ],
    ["quarantined TTL_INVALID", "TTL_INVALID", () => plantRequest(two, { ttlSeconds: 0 })],
    [
      "quarantined CBOR_MALFORMED",
      "CBOR_MALFORMED",
      () => two.store.plant(plantRequest(two).key, Uint8Array.of(0xd2, 24)),
    ],
    [
      "answered NOT_GRANTED",
      null,
      () => plantRequest(two, { more: { agentTarget: parseAgentName("secret") } }),
    ],
    [
      "answered NOT_GRANTED",
      null,
      () => {
        two.doer.trusts(two.asker, agents);
        plantRequest(two, { more: { agentTarget: parseAgentName("gone") } });
      },
    ],
    ["answered CANCELLED", null, asksAndCancels],
    ["answered DEADLINE", null, () => plantRequest(two, { more: { deadline: 1 } })],
    ["waits ISSUED_IN_FUTURE", null, () => plantRequest(two, { iatIn: limits.skewMs / 1000 + 1 })],
    [
      "waits QUOTA_REACHED",
      null,
      async () => {
        two.doer.trusts(two.asker, { ...plainGrants, maxConcurrentRuns: 1 });
        await admitOther({ idempotencyKey: "other" });
        plantRequest(two);
      },
    ],
    [
      "answered EXPIRED",
      null,
      () => {
        plantRequest(two);
        two.clock.jump(600_000 + limits.skewMs);
      },
    ],
    [
      "quarantined RECEIVED_TOO_LATE",
      null,
      () => {
        plantRequest(two);
        two.clock.jump(600_000 + 2 * limits.skewMs);
      },
    ],
    [
      "quarantined RECEIVED_TOO_LATE",
      null,
      async () => {
        const { key, bytes } = plantRequest(two);
        two.clock.jump(600_000 + 2 * limits.skewMs);
        await admitOnly();
        two.store.plant(key, bytes);
      },
    ],
    [
      "answered IDEMPOTENCY_CONFLICT",
      null,
      async () => {
        await admitOther({ text: "other" });
        plantRequest(two);
      },
    ],
    [
      "answered STATE_LOST",
      null,
      async () => {
        plantRequest(two);
        await box.state.recover();
      },
    ],
    [
      "exists admitted",
      null,
      async () => {
        plantRequest(two);
        await admitOnly();
      },
    ],
    [
      "exists ended",
      "KEY_REVOKED",
      async () => {
        const { key, bytes } = plantRequest(two, {
          more: { agentTarget: parseAgentName("secret") },
        });
        await admitOnly();
        two.store.plant(key, bytes);
        two.doer.trusts(two.asker, plainGrants, { revoked: true });
      },
    ],
  ])("%s, with the fault %s", async (verdict, fault, prepare) => {
    await prepare();
    const { preview } = await lookAtOnly();
    expect(wordOf(preview.prospect)).toBe(verdict);
    expect(preview.verified instanceof PosternError ? preview.verified.code : null).toBe(fault);
    expect(await admitOnly()).toBe(verdict);
  });

  it.each<[string, () => unknown]>([
    ["TRUST_EXPIRED", () => (two.doer.trustExpires = "2029-12-31T00:00:00Z")],
    [
      "TRUST_ROLLED_BACK",
      async () => {
        await box.state.seeVersion("trust", 5);
      },
    ],
    ["STATE_ELSEWHERE", () => claimedElsewhere(box.state, two.clock.now())],
    ["CLOCK_BEHIND", () => two.clock.jump(-2 * limits.clockStepMs)],
  ])("waits %s while admission stops", async (code, stop) => {
    plantRequest(two, { iatIn: -60 });
    await box.state.nextNumber("card");
    await stop();
    const { preview } = await lookAtOnly();
    expect(wordOf(preview.prospect)).toBe(`waits ${code}`);
    expect(await rejectionCode(admitOnly())).toBe(code);
  });
});

describe("tells of a request", () => {
  it("its size, its age by the store, its digest, and all that it asks where it verifies", async () => {
    const { bytes, requestDigest, runId } = plantRequest(two, { text: "why?", tenant: "acme" });
    const plantedMs = two.clock.now();
    two.clock.jump(5000);
    const request = await lookAtOnly();
    expect(request).toMatchObject({
      name: { from: "asker", runId },
      size: bytes.length,
      modifiedMs: plantedMs,
      requestDigest,
      cancelListed: false,
      preview: {
        headers: { kid: two.asker.signingKey.publicKey.kid, claims: { iss: "asker" } },
        verified: {
          payload: {
            body: { prompt: { text: "why?" } },
            callerIdentity: { gateway: "asker", tenant: "acme" },
          },
        },
      },
    });
  });

  it("no more than its headers where it does not verify", async () => {
    plantRequest(two, { signingKey: signingKeyFromSeed(new Uint8Array(32).fill(9)) });
    const { preview } = await lookAtOnly();
    expect(preview.verified).toMatchObject({ code: "KEY_UNKNOWN" });
    expect(preview.headers?.claims.aud).toBe("doer");
  });

  it("that a cancel lies beside it for these bytes, and not one for others", async () => {
    await asksAndCancels();
    expect((await lookAtOnly()).cancelListed).toBe(true);
    const [key = "", cancel] = await two.keys("doer/inbox/");
    if (cancel === undefined) throw new Error("there is no cancel");
    await two.store.delete(cancel);
    two.store.plant(`${key}.${"b".repeat(16)}.cancel`, utf8("x"));
    expect((await lookAtOnly()).cancelListed).toBe(false);
  });

  it("that a cancel which does not verify stops nothing", async () => {
    await asksAndCancels();
    const [, cancel = ""] = await two.keys("doer/inbox/");
    two.store.plant(cancel, utf8("anything"));
    const { cancelListed, preview } = await lookAtOnly();
    expect([cancelListed, preview.prospect.status]).toEqual([true, "admitted"]);
  });

  it("that it is too large by the listing, without fetching it", async () => {
    const { key } = plantRequest(two);
    two.store.plant(key, new Uint8Array(limits.maxEnvelopeBytes + 1));
    const { requestDigest, preview } = await lookAtOnly();
    expect([requestDigest, wordOf(preview.prospect)]).toEqual([
      null,
      "quarantined OBJECT_TOO_LARGE",
    ]);
    expect(two.doer.calls).toEqual(["list inbox"]);
  });

  it("nothing where it is gone by the time that it is read", async () => {
    const { key } = plantRequest(two);
    two.doer.trouble = ({ operation }) => {
      if (operation === "get") void two.store.delete(key);
      return undefined;
    };
    expect((await look()).requests).toEqual([]);
  });
});

it("changes nothing: the store is listed and read, and the state stays as it was", async () => {
  two.doer.trustVersion = 7;
  await asksAndCancels();
  plantRequest(two, { idempotencyKey: "a" });
  plantRequest(two, { idempotencyKey: "b", signedFor: "elsewhere" });
  plantRequest(two, { idempotencyKey: "c", more: { agentTarget: parseAgentName("secret") } });
  const { key } = plantRequest(two, { idempotencyKey: "d" });
  two.store.plant(key.replace("/asker/", "/stranger/"), utf8("x"));
  two.store.plant("doer/inbox/asker/\u001b[2J", utf8("x"));
  const [state, objects] = [
    structuredClone(two.doer.disk.content),
    await two.store.list({ prefix: "d", limit: 99 }),
  ];
  two.clock.jump(1000);
  const { requests, unknown } = await look();
  for (const { name } of requests) await lookAtRequest(box, name, maxRunOf);
  expect([requests.length, unknown.length]).toEqual([6, 1]);
  expect(two.doer.disk.content).toEqual(state);
  expect(await two.store.list({ prefix: "d", limit: 99 })).toEqual(objects);
  const operations = new Set(two.doer.calls.map((call) => call.split(" ")[0]));
  expect(operations).toEqual(new Set(["list", "get"]));
});

describe("a look", () => {
  it("is bounded, takes senders in turn, and says that there is more", async () => {
    two.doer.peers["zeta"] = zeta();
    for (const idempotencyKey of ["a", "b", "c"]) plantRequest(two, { idempotencyKey });
    const { key } = plantRequest(two, { idempotencyKey: "d" });
    two.store.plant(key.replace("/asker/", "/zeta/"), utf8("x"));
    const { requests, more } = await look({ limit: 2 });
    expect([requests.map(({ name }) => name.from), more]).toEqual([["asker", "zeta"], true]);
    expect(two.doer.calls.filter((call) => call.startsWith("get"))).toHaveLength(2);
    expect((await look({ limit: 5 })).more).toBe(false);
  });

  it("may be at one sender alone", async () => {
    const { key } = plantRequest(two);
    two.store.plant(key.replace("/asker/", "/stranger/"), utf8("x"));
    two.store.plant(key.replace("/asker/", "/stranger.b/"), utf8("x"));
    const { requests } = await look({ from: stranger });
    expect(requests.map(({ name }) => name.from)).toEqual([stranger]);
  });

  it("names what no rule makes, as many as it may, and as it is", async () => {
    for (const name of ["a b", "\u001b[2J", "x"])
      two.store.plant(`doer/inbox/asker/${name}`, utf8("x"));
    const { unknown, more } = await look({ limit: 2 });
    expect(unknown.map(({ key }) => key)).toEqual([
      "doer/inbox/asker/\u001b[2J",
      "doer/inbox/asker/a b",
    ]);
    expect(more).toBe(true);
  });

  it("goes on through the pages of a flood for as long as a scan does, then says that there is more", async () => {
    flood((limits.inboxPagesPerPeer + 1) * limits.listPageKeys);
    const { requests, more } = await look({ limit: 10_000 });
    expect([requests.length, more]).toEqual([limits.inboxPagesPerPeer * limits.listPageKeys, true]);
    // One more tells that nobody comes after the first page.
    expect(two.doer.calls.filter((call) => call.startsWith("list"))).toHaveLength(
      limits.inboxPagesPerPeer + 1,
    );
  });
});

describe("a look at one request", () => {
  it("finds it by its run id, or by its whole name", async () => {
    const { runId } = plantRequest(two);
    const byRun = await lookAtRequest(box, runId, maxRunOf);
    expect(byRun.name.from).toBe("asker");
    expect(await lookAtRequest(box, byRun.name, maxRunOf)).toMatchObject({ name: byRun.name });
  });

  it("finds a peer's behind any flood of its own, and a stranger's", async () => {
    flood((limits.inboxPagesPerPeer + 1) * limits.listPageKeys);
    const { key, runId } = plantRequest(two);
    expect(await lookAtRequest(box, runId, maxRunOf)).toMatchObject({ name: { from: "asker" } });
    await two.store.delete(key);
    two.store.plant(key.replace("/asker/", "/stranger/"), utf8("x"));
    expect(await lookAtRequest(box, runId, maxRunOf)).toMatchObject({ name: { from: stranger } });
  });

  it("with its cancel, when that lies beside it", async () => {
    await asksAndCancels();
    const { name } = await lookAtOnly();
    const { cancelListed, preview } = await lookAtRequest(box, name.runId, maxRunOf);
    expect([cancelListed, wordOf(preview.prospect)]).toEqual([true, "answered CANCELLED"]);
  });

  it("takes a peer's for the one that is meant, and of several strangers' none", async () => {
    const { key, runId } = plantRequest(two);
    two.store.plant(key.replace("/asker/", "/stranger/"), utf8("x"));
    two.store.plant(key.replace("/asker/", "/stranger.b/"), utf8("x"));
    expect(await lookAtRequest(box, runId, maxRunOf)).toMatchObject({ name: { from: "asker" } });
    await two.store.delete(key);
    expect(await rejectionCode(lookAtRequest(box, runId, maxRunOf))).toBe("USAGE");
  });

  it("is RUN_UNKNOWN where nothing of the name waits", async () => {
    expect(await rejectionCode(lookAtRequest(box, runNumber(1), maxRunOf))).toBe("RUN_UNKNOWN");
  });
});

function zeta(): object {
  const { publicKey } = signingKeyFromSeed(new Uint8Array(32).fill(9));
  return { keys: [{ publicKey: toBase64Url(publicKey.bytes), use: "gateway" }], grants: {} };
}

function flood(count: number): void {
  for (let number = 0; number < count; number += 1) {
    const runId = runNumber(number);
    const name = { kind: "request", to: two.doer.name, from: two.asker.name, runId } as const;
    two.store.plant(objectKey(name), utf8("x"));
  }
}

/** As many run ids as a flood takes. */
function runNumber(count: number): RunId {
  return parseRunId(requestDigestOf(utf8(String(count))));
}
