import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeCbor, encodeCbor, type CborValue } from "../../src/protocol/cbor.ts";
import { decodeCard, encodeCard, type CardPayload } from "../../src/protocol/card.ts";
import { verifySignature } from "../../src/protocol/keys.ts";
import { codeOf } from "../base/code-of.ts";
import { calleeKey, cards, cardSample } from "./samples.ts";

function changed(changes: Record<string, CborValue>): string {
  const fields = decodeCbor(encodeCard(cardSample)) as ReadonlyMap<string | number, CborValue>;
  return codeOf(() => decodeCard(encodeCbor(new Map([...fields, ...Object.entries(changes)]))));
}

const key = calleeKey.publicKey.bytes;

describe("a card", () => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(cards, (card) => {
        expect(decodeCard(encodeCard(card))).toStrictEqual(card);
      }),
    );
  });

  test("brings keys that verify", () => {
    const [read] = decodeCard(encodeCard(cardSample)).keys;
    const said = new Uint8Array(3);
    expect(read !== undefined && verifySignature(read, said, calleeKey.sign(said))).toBe(true);
  });

  test.each<[string, Record<string, CborValue>, string]>([
    ["keys not known yet", { sealing: key }, "accepted"],
    ["version 2 of the format", { v: 2 }, "VERSION_UNSUPPORTED"],
    ["no version", { version: 0 }, "PAYLOAD_INVALID"],
    ["a version of eleven digits", { version: 10_000_000_000 }, "PAYLOAD_INVALID"],
    ["a realm with a dot", { realm: "a.b" }, "PAYLOAD_INVALID"],
    ["a gateway in capitals", { gateway: "LAB" }, "PAYLOAD_INVALID"],
    ["no keys", { keys: [] }, "PAYLOAD_INVALID"],
    ["nine keys", { keys: Array.from({ length: 9 }, () => key) }, "PAYLOAD_INVALID"],
    ["a key that is a text", { keys: ["key"] }, "PAYLOAD_INVALID"],
    ["a short key", { keys: [key.subarray(1)] }, "KEY_INVALID"],
    ["a key of small order", { keys: [new Uint8Array(32)] }, "KEY_INVALID"],
    ["agents as a map", { agents: new Map() }, "PAYLOAD_INVALID"],
    ["an agent without a name", { agents: [new Map()] }, "PAYLOAD_INVALID"],
    ["an agent with a path as name", { agents: [new Map([["name", "a/b"]])] }, "PAYLOAD_INVALID"],
    [
      "a description that is a novel",
      {
        agents: [
          new Map([
            ["name", "a"],
            ["description", "x".repeat(513)],
          ]),
        ],
      },
      "PAYLOAD_INVALID",
    ],
    ["no room for a request", { maxRequestBytes: 0 }, "PAYLOAD_INVALID"],
  ])("with %s", (_, changes, code) => {
    expect(changed(changes)).toBe(code);
  });

  test("is not written when it could not be read", () => {
    const unreadable: CardPayload[] = [
      { ...cardSample, keys: [] },
      { ...cardSample, version: 0 },
      { ...cardSample, maxRequestBytes: 0.5 },
    ];
    for (const card of unreadable) expect(codeOf(() => encodeCard(card))).toBe("PAYLOAD_INVALID");
  });
});
