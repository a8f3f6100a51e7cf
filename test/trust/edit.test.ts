import { describe, expect, test } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { checkTrustDocument } from "../../src/trust/document.ts";
import { addPeer, grantPeer, newTrustDocument, removePeer } from "../../src/trust/edit.ts";
import { makeTrust } from "../../src/trust/trust.ts";
import { codeOf } from "../base/code-of.ts";
import { keyNumber, lab, nowMs, publicText, realm, self } from "./samples.ts";

const empty = newTrustDocument({ gateway: self, realm }, nowMs);
const labCard = { realm, gateway: lab, keys: [keyNumber(1).publicKey, keyNumber(2).publicKey] };
const moon = parseGatewayName("moon");
const diagnose = parseAgentName("diagnose");
const later = nowMs + 86_400_000;

describe("a new trust document", () => {
  test("knows nobody and is good for one term", () => {
    expect(empty).toMatchObject({ v: 1, gateway: self, realm, version: 1, peers: {} });
    expect(makeTrust(empty).peers).toEqual([]);
    expect(Date.parse(empty.expires)).toBe(nowMs + limits.trustLifetimeMs);
    expect(checkTrustDocument(empty)).toEqual(empty);
  });
});

describe("adding a peer", () => {
  test("pins all keys of its card and grants what is named, and leaves the document before as it was", () => {
    const before = structuredClone(empty);
    const document = addPeer(empty, labCard, { agents: [diagnose] }, later);
    expect(empty).toEqual(before);
    expect(document.version).toBe(2);
    expect(Date.parse(document.expires)).toBe(later + limits.trustLifetimeMs);
    expect(document.peers).toEqual({
      lab: {
        keys: [
          { publicKey: publicText(1), use: "gateway" },
          { publicKey: publicText(2), use: "gateway" },
        ],
        grants: { kinds: ["prompt"], agents: ["diagnose"], tools: [] },
      },
    });
    expect(checkTrustDocument(document)).toEqual(document);
  });

  test("grants nothing where nothing is named, and tool calls only with tools", () => {
    expect(addPeer(empty, labCard, {}, nowMs).peers[lab]?.grants).toEqual({
      kinds: [],
      agents: [],
      tools: [],
    });
    const granting = {
      agents: [diagnose],
      tools: ["disk"],
      tenants: ["blue"],
      maxRequestBytes: 10,
    };
    expect(addPeer(empty, labCard, granting, nowMs).peers[lab]?.grants).toEqual({
      kinds: ["prompt", "toolCall"],
      agents: ["diagnose"],
      tools: ["disk"],
      tenants: ["blue"],
      maxRequestBytes: 10,
    });
  });

  test("refuses one that is a peer already, another realm, keys of another, and itself", () => {
    const document = addPeer(empty, labCard, {}, nowMs);
    expect(codeOf(() => addPeer(document, labCard, {}, nowMs))).toBe("PEER_EXISTS");
    expect(codeOf(() => addPeer(empty, { ...labCard, realm: parseRealm("test") }, {}, nowMs))).toBe(
      "CARD_INVALID",
    );
    expect(codeOf(() => addPeer(document, { ...labCard, gateway: moon }, {}, nowMs))).toBe(
      "TRUST_INVALID",
    );
    expect(codeOf(() => addPeer(empty, { ...labCard, gateway: self }, {}, nowMs))).toBe(
      "TRUST_INVALID",
    );
  });
});

describe("granting", () => {
  test("adds to what is granted, and replaces numbers", () => {
    const first = addPeer(empty, labCard, { agents: [diagnose], maxConcurrentRuns: 1 }, nowMs);
    const document = grantPeer(
      first,
      lab,
      { agents: [parseAgentName("deploy"), diagnose], tools: ["disk"], maxConcurrentRuns: 2 },
      later,
    );
    expect(document.version).toBe(3);
    expect(document.peers[lab]).toEqual({
      keys: first.peers[lab]?.keys,
      grants: {
        kinds: ["prompt", "toolCall"],
        agents: ["diagnose", "deploy"],
        tools: ["disk"],
        maxConcurrentRuns: 2,
      },
    });
  });

  test("wants a known peer", () => {
    expect(codeOf(() => grantPeer(empty, lab, {}, nowMs))).toBe("PEER_MISSING");
    expect(codeOf(() => grantPeer(empty, parseGatewayName("constructor"), {}, nowMs))).toBe(
      "PEER_MISSING",
    );
  });
});

describe("removing a peer", () => {
  test("leaves the others as they are", () => {
    const moonCard = { realm, gateway: moon, keys: [keyNumber(3).publicKey] };
    const both = addPeer(
      addPeer(empty, labCard, {}, nowMs),
      moonCard,
      { agents: [diagnose] },
      nowMs,
    );
    const document = removePeer(both, lab, later);
    expect(document.version).toBe(4);
    expect(document.peers).toEqual({ moon: both.peers[moon] });
    expect(codeOf(() => removePeer(document, lab, later))).toBe("PEER_MISSING");
  });
});
