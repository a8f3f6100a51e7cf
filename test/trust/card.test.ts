import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { encodeCard, type CardPayload } from "../../src/protocol/card.ts";
import { signEnvelope } from "../../src/protocol/envelope.ts";
import { cardText, makeCard, openCard } from "../../src/trust/card.ts";
import { codeOf } from "../base/code-of.ts";
import { keyNumber, lab, nowMs, realm } from "./samples.ts";

const card: CardPayload = {
  realm,
  gateway: lab,
  version: 7,
  keys: [keyNumber(1).publicKey, keyNumber(2).publicKey],
  agents: [
    { name: parseAgentName("diagnose"), description: "looks at disks" },
    { name: parseAgentName("plain") },
  ],
  maxRequestBytes: 1000,
};
const envelope = makeCard(card, keyNumber(1), nowMs);
const text = cardText(envelope);
const expMs = nowMs + limits.cardLifetimeMs;

/** The card's bytes, signed otherwise than `makeCard` would. */
function signed(
  payload: CardPayload,
  how: { iss?: string; key?: string; realm?: string; signer?: number },
): Uint8Array {
  const claims = {
    iss: parseGatewayName(how.iss ?? payload.gateway),
    iat: nowMs / 1000,
    exp: expMs / 1000,
  };
  const binding = {
    realm: parseRealm(how.realm ?? payload.realm),
    key: how.key ?? "lab/card/0000000007",
  };
  return signEnvelope("card", claims, encodeCard(payload), keyNumber(how.signer ?? 1), binding);
}

describe("a card", () => {
  test("reads the same from its envelope, its text, and a file of either", () => {
    const opened = {
      card,
      signer: keyNumber(1).publicKey,
      issuedAt: nowMs / 1000,
      expiresAt: expMs / 1000,
    };
    for (const input of [envelope, text, utf8(text), utf8(`\n${text}\r\n`)]) {
      expect(openCard(input, nowMs)).toEqual(opened);
    }
    expect(signed(card, {})).toEqual(envelope);
  });

  test("is one line of lower-case letters and digits", () => {
    expect(text).toMatch(/^postern1[a-z2-7]+$/);
  });

  test("survives white space anywhere, as chat windows and mail put it there", () => {
    const breaks = fc.array(
      fc.tuple(fc.nat(text.length), fc.constantFrom(" ", "\n", "\r\n", "\t")),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(breaks, (places) => {
        let broken = text;
        for (const [at, space] of places) broken = broken.slice(0, at) + space + broken.slice(at);
        expect(openCard(broken, nowMs).card).toEqual(card);
      }),
    );
  });

  test("with any character changed or lost is CARD_INVALID", () => {
    for (let at = 0; at < text.length; at += 1) {
      const other = text.charAt(at) === "a" ? "b" : "a";
      expect(codeOf(() => openCard(text.slice(0, at) + other + text.slice(at + 1), nowMs))).toBe(
        "CARD_INVALID",
      );
      expect(codeOf(() => openCard(text.slice(0, at) + text.slice(at + 1), nowMs))).toBe(
        "CARD_INVALID",
      );
    }
  });

  test.each([
    ["nothing", ""],
    ["another text", "hello"],
    ["its beginning alone", "postern1"],
    ["upper case", text.toUpperCase()],
    ["padding", `${text}=`],
    ["an invisible character", text.replace("postern1", "postern1\u200b")],
    ["a later format", text.replace("postern1", "postern2")],
    ["no bytes", new Uint8Array()],
    ["too long a text", `postern1${"a".repeat(limits.maxCardTextBytes)}`],
    ["too long a file", new Uint8Array(limits.maxCardTextBytes + 1)],
    ["bytes that are no envelope", new Uint8Array([0xd2, 0x80])],
  ])("that is %s is CARD_INVALID", (_, input) => {
    expect(codeOf(() => openCard(input, nowMs))).toBe("CARD_INVALID");
  });

  test("counts only as its own first key signed it, for its own place, name and realm", () => {
    expect(codeOf(() => openCard(signed(card, { signer: 2 }), nowMs))).toBe("CARD_INVALID");
    expect(codeOf(() => openCard(signed(card, { iss: "moon" }), nowMs))).toBe("CARD_INVALID");
    expect(codeOf(() => openCard(signed(card, { key: "lab/card/0000000008" }), nowMs))).toBe(
      "CARD_INVALID",
    );
    expect(codeOf(() => openCard(signed(card, { realm: "test" }), nowMs))).toBe("CARD_INVALID");
  });

  test("counts until its expiry and the allowed skew are past", () => {
    expect(codeOf(() => openCard(envelope, expMs + limits.skewMs - 1))).toBe("accepted");
    expect(codeOf(() => openCard(envelope, expMs + limits.skewMs))).toBe("CARD_EXPIRED");
  });

  test("of the future counts no more than the allowed skew ahead", () => {
    expect(codeOf(() => openCard(envelope, nowMs - limits.skewMs))).toBe("accepted");
    expect(codeOf(() => openCard(envelope, nowMs - limits.skewMs - 1))).toBe("CARD_INVALID");
  });

  test("is made only with the first key that it names", () => {
    expect(codeOf(() => makeCard(card, keyNumber(2), nowMs))).toBe("CARD_INVALID");
    expect(codeOf(() => makeCard({ ...card, keys: [] }, keyNumber(1), nowMs))).toBe("CARD_INVALID");
  });
});
