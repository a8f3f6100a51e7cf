import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeCbor, type CborInput } from "../../src/protocol/cbor.ts";
import { decodeOwner, encodeOwner } from "../../src/protocol/owner.ts";
import { codeOf } from "../base/code-of.ts";
import { owners, ownerSample } from "./samples.ts";

describe("an owner's claim", () => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(owners, (owner) => {
        expect(decodeOwner(encodeOwner(owner))).toStrictEqual(owner);
      }),
    );
  });

  test.each<[string, CborInput, string]>([
    ["what it should have", { v: 1, ...ownerSample }, "accepted"],
    ["keys not known yet", { v: 1, ...ownerSample, host: "a" }, "accepted"],
    ["version 2", { v: 2, ...ownerSample }, "VERSION_UNSUPPORTED"],
    ["generation 0", { v: 1, ...ownerSample, generation: 0 }, "PAYLOAD_INVALID"],
    [
      "a generation of eleven digits",
      { v: 1, ...ownerSample, generation: 10_000_000_000 },
      "PAYLOAD_INVALID",
    ],
    ["a short nonce", { v: 1, ...ownerSample, nonce: "abc" }, "PAYLOAD_INVALID"],
    ["a nonce of bytes", { v: 1, ...ownerSample, nonce: new Uint8Array(16) }, "PAYLOAD_INVALID"],
    ["no nonce", { v: 1, generation: 1 }, "PAYLOAD_INVALID"],
  ])("with %s", (_, payload, code) => {
    expect(codeOf(() => decodeOwner(encodeCbor(payload)))).toBe(code);
  });
});
