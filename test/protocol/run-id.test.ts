import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { toBase32, utf8 } from "../../src/base/bytes.ts";
import { isRequestDigest, isRunId, parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { requestDigestOf, runIdOf, type RunIdParts } from "../../src/protocol/run-id.ts";
import { codeOf } from "../base/code-of.ts";

const parts: RunIdParts = {
  realm: parseRealm("prod"),
  caller: parseGatewayName("us-desk"),
  tenant: undefined,
  callee: parseGatewayName("eu-lab"),
  idempotencyKey: "ticket-4711",
};

describe("a run id", () => {
  test("is the SHA-256 of the six parts, in base32", () => {
    const head = (text: string): string => String.fromCharCode(0x60 + text.length) + text;
    const named = `\x86${["postern/v1/run", "prod", "us-desk", "", "eu-lab", "ticket-4711"].map(head).join("")}`;
    const digest = createHash("sha256").update(named, "latin1").digest();
    expect(runIdOf(parts)).toBe(toBase32(digest));
    expect(isRunId(runIdOf(parts))).toBe(true);
  });

  test("differs with each part, and does not run them together", () => {
    const others: RunIdParts[] = [
      { ...parts, realm: parseRealm("staging") },
      { ...parts, caller: parseGatewayName("us-desk2") },
      { ...parts, tenant: "blue" },
      { ...parts, tenant: "eu-lab" },
      { ...parts, callee: parseGatewayName("eu-lab2") },
      { ...parts, caller: parts.callee, callee: parts.caller },
      { ...parts, idempotencyKey: "ticket-4711 " },
      { ...parts, idempotencyKey: "Ticket-4711" },
      { ...parts, tenant: "t", idempotencyKey: "icket-4711" },
    ];
    const ids = [parts, ...others].map(runIdOf);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("takes a caller without a tenant and one with an empty tenant for the same", () => {
    expect(runIdOf({ ...parts, tenant: "" })).toBe(runIdOf(parts));
  });

  test("is not made from half a surrogate pair", () => {
    expect(codeOf(() => runIdOf({ ...parts, idempotencyKey: "\ud800" }))).toBe("CBOR_FORBIDDEN");
  });
});

test("a request's digest is the SHA-256 of its bytes, in base32", () => {
  const digest = requestDigestOf(utf8("abc"));
  expect(digest).toBe("xj4bnp4pahh6uqkbidpf3lrceoyagyndsylxvhfucd7wd4qacwwq");
  expect(isRequestDigest(digest)).toBe(true);
});
