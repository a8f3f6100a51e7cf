// Keys named `constructor` mislead the comparison of `expect`.
import { deepStrictEqual } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName } from "../../src/base/names.ts";
import { decodeCbor, encodeCbor, type CborValue } from "../../src/protocol/cbor.ts";
import {
  decodeCancel,
  decodeRequest,
  encodeCancel,
  encodeRequest,
  intentDigestOf,
  type RequestPayload,
} from "../../src/protocol/request.ts";
import { codeOf } from "../base/code-of.ts";
import { caller, cancels, cancelSample, requests, requestSample } from "./samples.ts";

/** The fields of the sample request as they are encoded. */
function fieldsOf(payload: Uint8Array): Map<string | number, CborValue> {
  const value = decodeCbor(payload);
  if (!(value instanceof Map)) throw new Error("not a map");
  return new Map(value as ReadonlyMap<string | number, CborValue>);
}

/** What the sample with some fields set, or taken out where undefined, is refused with. */
function changed(changes: Record<string, CborValue | undefined>): string {
  const fields = fieldsOf(encodeRequest(requestSample));
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) fields.delete(name);
    else fields.set(name, value);
  }
  return codeOf(() => decodeRequest(encodeCbor(fields)));
}

const prompt: RequestPayload = {
  agentTarget: parseAgentName("diagnose"),
  idempotencyKey: "k",
  callerIdentity: { gateway: caller },
  body: { kind: "prompt", prompt: { text: "look" } },
};

describe("a request", () => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(requests, (request) => {
        deepStrictEqual(decodeRequest(encodeRequest(request)), request);
      }),
      { numRuns: 500 },
    );
  });

  test("has nothing in it that was not asked for", () => {
    expect(new Set(fieldsOf(encodeRequest(prompt)).keys())).toEqual(
      new Set(["v", "agentTarget", "idempotencyKey", "callerIdentity", "prompt"]),
    );
  });

  test("may carry keys that are not known yet", () => {
    expect(changed({ shiny: new Map([["new", true]]) })).toBe("accepted");
    const more = new Map<string, CborValue>([
      ["gateway", caller],
      ["rank", 1],
    ]);
    expect(changed({ callerIdentity: more })).toBe("accepted");
  });

  test.each([
    ["no version", { v: undefined }, "PAYLOAD_INVALID"],
    ["a version as text", { v: "1" }, "PAYLOAD_INVALID"],
    ["version 0", { v: 0 }, "PAYLOAD_INVALID"],
    ["version 2", { v: 2 }, "VERSION_UNSUPPORTED"],
    ["no agent", { agentTarget: undefined }, "PAYLOAD_INVALID"],
    ["an agent with a path", { agentTarget: "lab/diagnose" }, "PAYLOAD_INVALID"],
    ["no idempotencyKey", { idempotencyKey: undefined }, "PAYLOAD_INVALID"],
    ["an empty idempotencyKey", { idempotencyKey: "" }, "PAYLOAD_INVALID"],
    [
      "an idempotencyKey of 257 bytes",
      { idempotencyKey: `a${"é".repeat(128)}` },
      "PAYLOAD_INVALID",
    ],
    ["an idempotencyKey of 256 bytes", { idempotencyKey: "é".repeat(128) }, "accepted"],
    ["no caller", { callerIdentity: undefined }, "PAYLOAD_INVALID"],
    ["a caller as text", { callerIdentity: "us-desk" }, "PAYLOAD_INVALID"],
    [
      "a caller without a gateway",
      { callerIdentity: new Map([["agent", "sre"]]) },
      "PAYLOAD_INVALID",
    ],
    ["a run id that is none", { remoteRunId: "run-1" }, "PAYLOAD_INVALID"],
    ["a deadline with a fraction", { deadline: 1.5 }, "PAYLOAD_INVALID"],
    ["a negative deadline", { deadline: -1 }, "PAYLOAD_INVALID"],
    ["a deadline that is nil", { deadline: null }, "PAYLOAD_INVALID"],
    ["five gateways passed", { via: ["a", "b", "c", "d", "e"] }, "PAYLOAD_INVALID"],
    ["four gateways passed", { via: ["a", "b", "c", "d"] }, "accepted"],
    ["a gateway passed twice", { via: ["a", "b", "a"] }, "PAYLOAD_INVALID"],
    ["no gateway name passed", { via: ["A"] }, "PAYLOAD_INVALID"],
    ["bytes in meta", { meta: Uint8Array.of(1) }, "PAYLOAD_INVALID"],
    ["an integer key in meta", { meta: new Map([[1, "a"]]) }, "PAYLOAD_INVALID"],
    ["nothing asked", { toolCall: undefined }, "PAYLOAD_INVALID"],
    ["two things asked", { prompt: new Map([["text", "a"]]) }, "PAYLOAD_INVALID"],
    ["a second thing asked that is nil", { approvalGrant: null }, "PAYLOAD_INVALID"],
    ["a tool without a name", { toolCall: new Map([["input", 1]]) }, "PAYLOAD_INVALID"],
    ["a tool without input", { toolCall: new Map([["name", "a"]]) }, "PAYLOAD_INVALID"],
    ["a prompt without text", { toolCall: undefined, prompt: new Map() }, "PAYLOAD_INVALID"],
    ["a prompt as text", { toolCall: undefined, prompt: "look" }, "PAYLOAD_INVALID"],
    ["a grant as text", { toolCall: undefined, approvalGrant: "yes" }, "PAYLOAD_INVALID"],
    ["a grant of bytes", { toolCall: undefined, approvalGrant: Uint8Array.of(1) }, "accepted"],
  ])("with %s", (_, changes: Record<string, CborValue | undefined>, code) => {
    expect(changed(changes)).toBe(code);
  });

  test.each<[string, CborValue]>([
    ["a list", []],
    ["a text", "request"],
    ["nil", null],
  ])("is a map, not %s", (_, value) => {
    expect(codeOf(() => decodeRequest(encodeCbor(value)))).toBe("PAYLOAD_INVALID");
  });

  test("is not written when it could not be read", () => {
    const unreadable: RequestPayload[] = [
      { ...prompt, idempotencyKey: "" },
      { ...prompt, deadline: -1 },
      { ...prompt, via: [caller, caller] },
      { ...prompt, callerIdentity: { gateway: caller, tenant: "" } },
      { ...prompt, body: { kind: "toolCall", toolCall: { name: "", input: null } } },
    ];
    for (const payload of unreadable) {
      expect(codeOf(() => encodeRequest(payload))).toBe("PAYLOAD_INVALID");
    }
    const large = {
      ...prompt,
      body: { kind: "prompt", prompt: { text: "x".repeat(limits.maxEnvelopeBytes) } },
    } as const;
    expect(codeOf(() => encodeRequest(large))).toBe("CBOR_TOO_LARGE");
  });

  test("keeps keys that look like a prototype as data", () => {
    const meta = Object.fromEntries([["__proto__", { polluted: true }]]);
    const read = decodeRequest(encodeRequest({ ...prompt, meta })).meta;
    expect(Object.keys(read ?? {})).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });
});

describe("the intent of a request", () => {
  test("is the same whenever it is sent", () => {
    fc.assert(
      fc.property(requests, fc.nat(), (request, deadline) => {
        const { deadline: _, ...timeless } = request;
        expect(intentDigestOf({ ...request, deadline })).toBe(intentDigestOf(timeless));
      }),
    );
  });

  test("differs with everything else", () => {
    const others: RequestPayload[] = [
      { ...prompt, agentTarget: parseAgentName("plan") },
      { ...prompt, idempotencyKey: "l" },
      { ...prompt, callerIdentity: { gateway: parseGatewayName("us-desk2") } },
      { ...prompt, callerIdentity: { gateway: caller, tenant: "blue" } },
      { ...prompt, body: { kind: "prompt", prompt: { text: "Look" } } },
      { ...prompt, body: { kind: "toolCall", toolCall: { name: "look", input: null } } },
      { ...prompt, meta: null },
      { ...prompt, via: [caller] },
    ];
    const digests = [prompt, ...others].map(intentDigestOf);
    expect(new Set(digests).size).toBe(digests.length);
    expect(digests[0]).toMatch(/^[a-z2-7]{52}$/);
  });
});

describe("a cancel", () => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(cancels, (cancel) => {
        expect(decodeCancel(encodeCancel(cancel))).toStrictEqual(cancel);
      }),
    );
  });

  test.each([
    ["version 2", { v: 2 }, "VERSION_UNSUPPORTED"],
    ["no run", { runId: undefined }, "PAYLOAD_INVALID"],
    ["a short run id", { runId: "abc" }, "PAYLOAD_INVALID"],
    ["no digest", { requestDigest: undefined }, "PAYLOAD_INVALID"],
    ["a digest of bytes", { requestDigest: new Uint8Array(32) }, "PAYLOAD_INVALID"],
    ["more keys", { reason: "late" }, "accepted"],
  ])("with %s", (_, changes: Record<string, CborValue | undefined>, code) => {
    const fields = fieldsOf(encodeCancel(cancelSample));
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) fields.delete(name);
      else fields.set(name, value);
    }
    expect(codeOf(() => decodeCancel(encodeCbor(fields)))).toBe(code);
  });
});
