import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName } from "../../src/base/names.ts";
import type { RequestKind } from "../../src/protocol/request.ts";
import { checkTrustDocument } from "../../src/trust/document.ts";
import { makeTrust, notGrantedText, type Asked, type Trust } from "../../src/trust/trust.ts";
import { codeOf } from "../base/code-of.ts";
import { documentWith, keyNumber, lab, nowMs, oneKey, publicText } from "./samples.ts";

const nowS = nowMs / 1000;
const moon = parseGatewayName("moon");
const diagnose = parseAgentName("diagnose");
const kid = (number: number): string => keyNumber(number).publicKey.kid;

function trustIn(peers: object, fields: object = {}): Trust {
  return makeTrust(checkTrustDocument(documentWith(peers, fields)));
}

function trustWith(key: object): Trust {
  return trustIn({ lab: { keys: [{ ...oneKey, ...key }] } });
}

function granted(grants: object): Trust {
  return trustIn({ lab: { keys: [oneKey], grants } });
}

const asked: Asked = { from: lab, kind: "prompt", agent: diagnose, bytes: 100 };

describe("a gateway key", () => {
  const claims = { iss: lab, iat: nowS };

  test("that is pinned for the issuer counts", () => {
    expect(trustWith({}).gatewayKey(claims, kid(1), nowMs)).toEqual(keyNumber(1).publicKey);
  });

  test("of a gateway that is no peer does not count", () => {
    expect(codeOf(() => trustWith({}).gatewayKey({ iss: moon, iat: nowS }, kid(1), nowMs))).toBe(
      "PEER_UNKNOWN",
    );
    expect(codeOf(() => trustIn({}).gatewayKey(claims, kid(1), nowMs))).toBe("PEER_UNKNOWN");
  });

  test("counts for the peer that it is pinned for and for no other", () => {
    const trust = trustIn({
      lab: { keys: [oneKey] },
      moon: { keys: [{ ...oneKey, publicKey: publicText(2) }] },
    });
    expect(codeOf(() => trust.gatewayKey(claims, kid(2), nowMs))).toBe("KEY_UNKNOWN");
    expect(trust.gatewayKey({ iss: moon, iat: nowS }, kid(2), nowMs).kid).toBe(kid(2));
  });

  test("that is revoked verifies nothing, whatever date is on the revocation or the signature", () => {
    for (const revoked of [true, "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"]) {
      const trust = trustWith({ revoked });
      expect(codeOf(() => trust.gatewayKey({ iss: lab, iat: 0 }, kid(1), nowMs))).toBe(
        "KEY_REVOKED",
      );
      expect(codeOf(() => trust.gatewayKey(claims, kid(1), nowMs))).toBe("KEY_REVOKED");
    }
  });

  test("counts from notBefore on and before notAfter, both for now and for when it signed", () => {
    const notBefore = new Date(nowMs).toISOString();
    const notAfter = new Date(nowMs + 10_000).toISOString();
    const trust = trustWith({ notBefore, notAfter });
    const at = (iat: number, now: number): string =>
      codeOf(() => trust.gatewayKey({ iss: lab, iat }, kid(1), now));
    expect(at(nowS, nowMs)).toBe("accepted");
    expect(at(nowS + 9, nowMs + 9_999)).toBe("accepted");
    expect(at(nowS - 1, nowMs)).toBe("KEY_OUTSIDE_WINDOW");
    expect(at(nowS, nowMs - 1)).toBe("KEY_OUTSIDE_WINDOW");
    expect(at(nowS + 10, nowMs)).toBe("KEY_OUTSIDE_WINDOW");
    expect(at(nowS, nowMs + 10_000)).toBe("KEY_OUTSIDE_WINDOW");
  });
});

describe("a peer", () => {
  const past = { ...oneKey, notAfter: new Date(nowMs).toISOString() };
  const revoked = { ...oneKey, publicKey: publicText(2), revoked: true };
  const toCome = {
    ...oneKey,
    publicKey: publicText(3),
    notBefore: new Date(nowMs + 1).toISOString(),
  };

  test.each([
    ["with a key that counts", [oneKey], "accepted"],
    ["with one such among others", [revoked, past, toCome], "accepted"],
    ["whose only key is to count later", [toCome], "accepted"],
    ["whose keys are all revoked", [revoked], "KEY_REVOKED"],
    ["whose keys are all past their time", [past], "KEY_OUTSIDE_WINDOW"],
    ["whose keys are past their time or revoked", [past, revoked], "KEY_OUTSIDE_WINDOW"],
  ])("%s, asked for a usable key", (_, keys, code) => {
    const trust = trustIn({ lab: { keys } });
    expect(codeOf(() => trust.requireUsableKey(lab, nowMs))).toBe(code);
  });

  test("that is not in the document has none", () => {
    expect(codeOf(() => trustIn({}).requireUsableKey(lab, nowMs))).toBe("PEER_UNKNOWN");
  });
});

describe("the document's term", () => {
  test("ends at its expiry", () => {
    const trust = trustIn({}, { expires: new Date(nowMs).toISOString() });
    expect(codeOf(() => trust.requireCurrent(nowMs - 1))).toBe("accepted");
    expect(codeOf(() => trust.requireCurrent(nowMs))).toBe("TRUST_EXPIRED");
  });
});

describe("a grant", () => {
  test("that is absent is none", () => {
    for (const trust of [trustIn({ lab: { keys: [oneKey] } }), granted({}), trustIn({})]) {
      expect(trust.refusalOf(asked)).toEqual({ code: "NOT_GRANTED", message: notGrantedText });
    }
    expect(granted({ agents: ["diagnose"] }).refusalOf(asked)?.code).toBe("NOT_GRANTED");
    expect(granted({ kinds: ["prompt"] }).refusalOf(asked)?.code).toBe("NOT_GRANTED");
  });

  test("lets through what it names, and nothing beside it", () => {
    const trust = granted({ kinds: ["prompt"], agents: ["diagnose"] });
    expect(trust.refusalOf(asked)).toBeUndefined();
    expect(trust.refusalOf({ ...asked, agent: parseAgentName("deploy") })?.code).toBe(
      "NOT_GRANTED",
    );
    expect(trust.refusalOf({ ...asked, kind: "toolCall", tool: "x" })?.code).toBe("NOT_GRANTED");
    expect(trust.refusalOf({ ...asked, from: moon })?.code).toBe("NOT_GRANTED");
  });

  test("of tool calls is one of the tools it names", () => {
    const trust = granted({ kinds: ["toolCall"], agents: ["diagnose"], tools: ["disk"] });
    expect(trust.refusalOf({ ...asked, kind: "toolCall", tool: "disk" })).toBeUndefined();
    expect(trust.refusalOf({ ...asked, kind: "toolCall", tool: "rm" })?.code).toBe("NOT_GRANTED");
    expect(trust.refusalOf({ ...asked, kind: "toolCall" })?.code).toBe("NOT_GRANTED");
  });

  test("that lists tenants wants one of them; one that lists none takes any", () => {
    const grants = { kinds: ["prompt"], agents: ["diagnose"] };
    const some = granted({ ...grants, tenants: ["blue"] });
    expect(some.refusalOf(asked)?.code).toBe("NOT_GRANTED");
    expect(some.refusalOf({ ...asked, tenant: "red" })?.code).toBe("NOT_GRANTED");
    expect(some.refusalOf({ ...asked, tenant: "blue" })).toBeUndefined();
    expect(granted(grants).refusalOf({ ...asked, tenant: "red" })).toBeUndefined();
  });

  test("bounds a request's size, and says so only to who is granted the rest", () => {
    const trust = granted({ kinds: ["prompt"], agents: ["diagnose"], maxRequestBytes: 99 });
    expect(trust.refusalOf(asked)?.code).toBe("TOO_LARGE");
    expect(trust.refusalOf({ ...asked, bytes: 99 })).toBeUndefined();
    expect(trust.refusalOf({ ...asked, agent: parseAgentName("deploy") })?.code).toBe(
      "NOT_GRANTED",
    );
  });

  test("has bounds also where the document names none", () => {
    expect(granted({}).grantsOf(lab)).toEqual({
      kinds: [],
      agents: [],
      tools: [],
      tenants: [],
      maxRequestBytes: limits.maxEnvelopeBytes,
      maxConcurrentRuns: limits.defaultMaxPeerRuns,
      maxRequestsPerMinute: limits.defaultMaxRequestsPerMinute,
    });
    expect(granted({}).grantsOf(moon)).toBeUndefined();
  });
});

// Few names and many absences, so that what is asked meets what is listed often enough to matter.
const names = ["lab", "moon", "mars"];
const gatewayNames = fc.constantFrom(...names);
const agents = fc.constantFrom("a", "b", "c");
const words = fc.constantFrom("x", "y", "z");
const kinds = fc.constantFrom<RequestKind>("prompt", "toolCall", "approvalGrant");
const some = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { maxLength: 3 });
const times = fc.integer({ min: nowMs - 5000, max: nowMs + 5000 });

const keyFields = fc.record(
  {
    revoked: fc.oneof(
      fc.constant(true),
      times.map((ms) => new Date(ms).toISOString()),
    ),
    notBefore: fc
      .integer({ min: nowMs - 5000, max: nowMs })
      .map((ms) => new Date(ms).toISOString()),
    notAfter: fc
      .integer({ min: nowMs + 1, max: nowMs + 5000 })
      .map((ms) => new Date(ms).toISOString()),
  },
  { requiredKeys: [] },
);
const grantFields = fc.record(
  {
    kinds: some(kinds),
    agents: some(agents),
    tools: some(words),
    tenants: some(words),
    maxRequestBytes: fc.integer({ min: 1, max: 100 }),
  },
  { requiredKeys: [] },
);
type Generated<T> = T extends fc.Arbitrary<infer Value> ? Value : never;
interface SamplePeer {
  readonly keys: readonly (Generated<typeof keyFields> & {
    readonly publicKey: string;
    readonly use: string;
  })[];
  readonly grants?: Generated<typeof grantFields>;
}
/** Documents in which peer number n has keys 2n + 1 and 2n + 2. */
const samplePeers: fc.Arbitrary<Record<string, SamplePeer>> = fc
  .uniqueArray(
    fc.record({
      name: gatewayNames,
      keys: fc.array(keyFields, { minLength: 1, maxLength: 2 }),
      grants: fc.option(grantFields, { nil: undefined }),
    }),
    { selector: ({ name }) => name, maxLength: 3 },
  )
  .map((peers) =>
    Object.fromEntries(
      peers.map(({ name, keys, grants }, n) => [
        name,
        {
          keys: keys.map((key, index) => ({
            ...key,
            publicKey: publicText(2 * n + index + 1),
            use: "gateway",
          })),
          ...(grants === undefined ? {} : { grants }),
        },
      ]),
    ),
  );

/** The same decision, from the text of the document. */
function expectedCode(
  peer: SamplePeer | undefined,
  number: number,
  moments: readonly number[],
): string {
  if (peer === undefined) return "PEER_UNKNOWN";
  const key = peer.keys.find(({ publicKey }) => publicKey === publicText(number));
  if (key === undefined) return "KEY_UNKNOWN";
  if (key.revoked !== undefined) return "KEY_REVOKED";
  const { notBefore, notAfter } = key;
  const inside = moments.every(
    (ms) =>
      (notBefore === undefined || ms >= Date.parse(notBefore)) &&
      (notAfter === undefined || ms < Date.parse(notAfter)),
  );
  return inside ? "accepted" : "KEY_OUTSIDE_WINDOW";
}

describe("any document", () => {
  test("grants nothing that it does not list", () => {
    const asks = fc.record(
      {
        kind: kinds,
        from: gatewayNames,
        agent: agents,
        tool: words,
        tenant: words,
        bytes: fc.integer({ min: 0, max: 120 }),
      },
      { requiredKeys: ["kind", "from", "agent", "bytes"] },
    );
    let grantedCount = 0;
    fc.assert(
      fc.property(
        samplePeers,
        fc.array(asks, { minLength: 20, maxLength: 20 }),
        (peers, wanted) => {
          const trust = trustIn(peers);
          for (const ask of wanted) {
            const refusal = trust.refusalOf({
              ...ask,
              from: parseGatewayName(ask.from),
              agent: parseAgentName(ask.agent),
            });
            if (refusal !== undefined) continue;
            grantedCount += 1;
            const grants = peers[ask.from]?.grants;
            expect(grants?.kinds).toContain(ask.kind);
            expect(grants?.agents).toContain(ask.agent);
            if (ask.kind === "toolCall") expect(grants?.tools).toContain(ask.tool);
            if ((grants?.tenants ?? []).length > 0) expect(grants?.tenants).toContain(ask.tenant);
            expect(ask.bytes).toBeLessThanOrEqual(
              grants?.maxRequestBytes ?? limits.maxEnvelopeBytes,
            );
          }
        },
      ),
      { numRuns: 200 },
    );
    expect(grantedCount).toBeGreaterThan(0);
  });

  test("returns only keys that it lists for the issuer, that are not revoked, and within their windows", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(samplePeers, times, times, (peers, signedMs, now) => {
        const trust = trustIn(peers);
        const iat = Math.floor(signedMs / 1000);
        for (const iss of names) {
          for (let number = 1; number <= 2 * names.length; number += 1) {
            const code = codeOf(() => {
              const key = trust.gatewayKey({ iss: parseGatewayName(iss), iat }, kid(number), now);
              expect(key).toEqual(keyNumber(number).publicKey);
            });
            expect(code).toBe(expectedCode(peers[iss], number, [now, iat * 1000]));
            seen.add(code);
          }
        }
      }),
    );
    expect([...seen].toSorted()).toEqual([
      "KEY_OUTSIDE_WINDOW",
      "KEY_REVOKED",
      "KEY_UNKNOWN",
      "PEER_UNKNOWN",
      "accepted",
    ]);
  });
});
