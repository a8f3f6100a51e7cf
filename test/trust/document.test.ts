import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { readTrustDocument, trustJsonSchema } from "../../src/trust/document.ts";
import { codeOf } from "../base/code-of.ts";
import { documentWith, oneKey, publicText } from "./samples.ts";

function read(document: unknown): ReturnType<typeof readTrustDocument> {
  return readTrustDocument(utf8(JSON.stringify(document)));
}

function readPeer(peer: object): ReturnType<typeof readTrustDocument> {
  return read(documentWith({ lab: peer }));
}

const full = {
  keys: [
    oneKey,
    {
      publicKey: publicText(2),
      use: "gateway",
      notBefore: "2030-01-01T00:00:00Z",
      notAfter: "2031-01-01T00:00:00+01:00",
    },
    { publicKey: publicText(3), use: "gateway", revoked: true },
    { publicKey: publicText(4), use: "gateway", revoked: "2030-03-01T00:00:00Z" },
  ],
  grants: {
    kinds: ["prompt", "toolCall"],
    agents: ["diagnose"],
    tools: ["disk.usage"],
    tenants: ["blue"],
    maxRequestBytes: 1000,
    maxConcurrentRuns: 1,
    maxRequestsPerMinute: 10,
  },
};

describe("a trust document", () => {
  test("is read with all its fields, and with none but the needed ones", () => {
    const document = documentWith({ lab: full }, { $schema: "./schema/trust.schema.json" });
    expect(read(document)).toEqual(document);
    expect(readPeer({ keys: [oneKey] }).peers).toEqual({ lab: { keys: [oneKey] } });
    expect(read(documentWith({})).peers).toEqual({});
  });

  const refused: [string, unknown, string[]][] = [
    ["an unknown field", documentWith({}, { colour: "red" }), ["colour", "no such field"]],
    [
      "an unknown field of a peer",
      documentWith({ lab: { ...full, roots: [] } }),
      ["peers.lab.roots"],
    ],
    [
      "an unknown field of a key",
      documentWith({ lab: { keys: [{ ...oneKey, revoke: true }] } }),
      ["peers.lab.keys[0].revoke"],
    ],
    [
      "an unknown grant",
      documentWith({ lab: { keys: [oneKey], grants: { agent: [] } } }),
      ["peers.lab.grants.agent"],
    ],
    ["another version of the format", documentWith({}, { v: 2 }), ["v is 2", "use 1"]],
    ["no version", documentWith({}, { version: undefined }), ["version is missing"]],
    ["version 0", documentWith({}, { version: 0 }), ["version is 0"]],
    ["a version that is no integer", documentWith({}, { version: 1.5 }), ["version is 1.5"]],
    ["no expiry", documentWith({}, { expires: undefined }), ["expires is missing"]],
    [
      "an expiry without a zone",
      documentWith({}, { expires: "2031-01-01T00:00:00" }),
      ["expires is", "zone"],
    ],
    [
      "a day that does not exist",
      documentWith({}, { expires: "2031-02-30T00:00:00Z" }),
      ["expires is"],
    ],
    ["a gateway that is no name", documentWith({}, { gateway: "Acme" }), ["gateway", '"Acme"']],
    ["a realm that is no name", documentWith({}, { realm: "" }), ["realm"]],
    ["peers in a list", documentWith([]), ["peers is []"]],
    ["a peer that is no name", documentWith({ "A B": full }), ['peers["A B"]']],
    ["a peer without keys", documentWith({ lab: { keys: [] } }), ["peers.lab.keys"]],
    [
      "a key of another use",
      documentWith({ lab: { keys: [{ ...oneKey, use: "root" }] } }),
      ["peers.lab.keys[0].use", '"root"'],
    ],
    [
      "a key that is too short",
      documentWith({ lab: { keys: [{ ...oneKey, publicKey: "AAAA" }] } }),
      ["peers.lab.keys[0].publicKey"],
    ],
    [
      "a padded key",
      documentWith({ lab: { keys: [{ ...oneKey, publicKey: `${oneKey.publicKey}=` }] } }),
      ["publicKey"],
    ],
    [
      "a key of small order",
      documentWith({ lab: { keys: [{ ...oneKey, publicKey: "A".repeat(43) }] } }),
      ["publicKey", "small order"],
    ],
    [
      "revoked: false",
      documentWith({ lab: { keys: [{ ...oneKey, revoked: false }] } }),
      ["peers.lab.keys[0].revoked is false", "leave it out"],
    ],
    [
      "an empty window",
      documentWith({
        lab: {
          keys: [
            { ...oneKey, notBefore: "2031-01-01T00:00:00Z", notAfter: "2030-01-01T00:00:00Z" },
          ],
        },
      }),
      ["notAfter"],
    ],
    [
      "an unknown kind",
      documentWith({ lab: { keys: [oneKey], grants: { kinds: ["shell"] } } }),
      ["grants.kinds[0]", '"shell"'],
    ],
    [
      "an agent that is no name",
      documentWith({ lab: { keys: [oneKey], grants: { agents: ["*"] } } }),
      ["grants.agents[0]", '"*"'],
    ],
    [
      "an empty tool",
      documentWith({ lab: { keys: [oneKey], grants: { tools: [""] } } }),
      ["grants.tools[0]"],
    ],
    [
      "a tenant that is too long",
      documentWith({ lab: { keys: [oneKey], grants: { tenants: ["é".repeat(65)] } } }),
      ["grants.tenants[0]"],
    ],
    [
      "a size beyond an envelope",
      documentWith({
        lab: { keys: [oneKey], grants: { maxRequestBytes: limits.maxEnvelopeBytes + 1 } },
      }),
      ["grants.maxRequestBytes"],
    ],
    ["itself as a peer", documentWith({ "acme.eu": full }), ['peers["acme.eu"]', "itself"]],
    [
      "one key under two peers",
      documentWith({ lab: { keys: [oneKey] }, moon: { keys: [oneKey] } }),
      ["peers.moon.keys[0].publicKey", "lab"],
    ],
    [
      "one key twice under one peer",
      documentWith({ lab: { keys: [{ ...oneKey, revoked: true }, oneKey] } }),
      ["peers.lab.keys[1].publicKey"],
    ],
    ["a list", [], ["the document"]],
    ["null", null, ["the document"]],
  ];
  test.each(refused)("refuses %s, and says where", (_, document, says) => {
    expect(codeOf(() => read(document))).toBe("TRUST_INVALID");
    for (const part of says) expect(() => read(document)).toThrow(part);
  });

  test("refuses a key written twice in one object, where JSON.parse would drop the first", () => {
    const text = JSON.stringify(documentWith({ lab: { keys: [oneKey] } }));
    const twice = text.replace(
      '"use":"gateway"',
      '"use":"gateway","revoked":true,"revoked":"2030-01-01T00:00:00Z"',
    );
    expect(codeOf(() => readTrustDocument(utf8(twice)))).toBe("TRUST_INVALID");
  });

  test("is described by a JSON Schema that knows every field and no other", () => {
    const schema = JSON.stringify(trustJsonSchema());
    for (const field of [
      "$schema",
      "expires",
      "peers",
      "revoked",
      "notAfter",
      "maxRequestsPerMinute",
      "tenants",
    ]) {
      expect(schema).toContain(`"${field}"`);
    }
    expect(trustJsonSchema()).toMatchObject({
      additionalProperties: false,
      required: ["v", "gateway", "realm", "version", "expires", "peers"],
    });
  });
});
