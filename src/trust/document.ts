import { z } from "zod";
import { fromBase64Url } from "../base/bytes.ts";
import { asPosternError } from "../base/errors.ts";
import { checkDocument, readJsonDocument, type DocumentKind } from "../base/json-document.ts";
import { limits } from "../base/limits.ts";
import { agentNameSchema, gatewayNameSchema, realmSchema } from "../base/name-schemas.ts";
import type { GatewayName } from "../base/names.ts";
import { publicKeyFromBytes } from "../protocol/keys.ts";
import { requestKinds } from "../protocol/request.ts";

const time = z.iso.datetime({
  offset: true,
  error: 'use a date and time with its zone, like "2030-01-31T12:00:00Z"',
});

function count(most: number, what: string): z.ZodInt {
  const shape = `use an integer from 1 to ${most}`;
  return z.int(shape).min(1, shape).max(most, shape).meta({ description: what });
}

function texts(maxBytes: number, what: string): z.ZodArray<z.ZodString> {
  const shape = `use a text of 1 to ${maxBytes} bytes`;
  const text = z
    .string(shape)
    .refine((value) => value !== "" && Buffer.byteLength(value) <= maxBytes, shape);
  return z.array(text, "use a list of texts").meta({ description: what });
}

const grantsSchema = z
  .strictObject({
    kinds: z
      .array(z.enum(requestKinds), "use a list of request kinds")
      .meta({ description: "Kinds of requests. Absent: none." })
      .exactOptional(),
    agents: z
      .array(agentNameSchema, "use a list of agent names")
      .meta({ description: "Agents that may be asked. Absent: none." })
      .exactOptional(),
    tools: texts(
      limits.maxToolNameBytes,
      "Tools that may be called. Absent: none.",
    ).exactOptional(),
    tenants: texts(
      limits.maxTenantBytes,
      "Where tenants are listed, a request must name one of them. Absent: requests with and without any.",
    ).exactOptional(),
    maxRequestBytes: count(
      limits.maxEnvelopeBytes,
      `The largest request. Absent: ${limits.maxEnvelopeBytes}.`,
    ).exactOptional(),
    maxConcurrentRuns: count(
      Number.MAX_SAFE_INTEGER,
      `Runs at the same time. Absent: ${limits.defaultMaxPeerRuns}.`,
    ).exactOptional(),
    maxRequestsPerMinute: count(
      Number.MAX_SAFE_INTEGER,
      `Requests taken in within a minute. Absent: ${limits.defaultMaxRequestsPerMinute}.`,
    ).exactOptional(),
  })
  .meta({ description: "What this peer may ask. What is not listed here is not granted." });

const keySchema = z.strictObject({
  publicKey: z
    .string("use a text")
    .superRefine(requireSoundKey)
    .meta({ description: "An Ed25519 public key, 32 bytes in base64url." }),
  use: z.enum(["gateway"]),
  notBefore: time.exactOptional(),
  notAfter: time.exactOptional(),
  revoked: z
    .union([z.literal(true), time], { error: "use true or a date and time, or leave it out" })
    .meta({
      description:
        "A revoked key verifies nothing, whatever date is on it. Revoke a key rather than remove it.",
    })
    .exactOptional(),
});

const peerSchema = z.strictObject({
  keys: z
    .array(keySchema, "use a list of keys")
    .min(1, "list at least one key, or remove the peer"),
  grants: grantsSchema.exactOptional(),
});

const trustSchema = z
  .strictObject({
    $schema: z.string().exactOptional(),
    v: z.literal(1, "use 1, the version that this program reads"),
    gateway: gatewayNameSchema.meta({ description: "The gateway that this document belongs to." }),
    realm: realmSchema,
    version: count(
      Number.MAX_SAFE_INTEGER,
      "Raise it with every edit: a lower one than before is refused.",
    ),
    expires: time.meta({
      description: "After this nothing is admitted: review the document and renew it.",
    }),
    peers: z.record(gatewayNameSchema, peerSchema, "use an object with a field for each peer"),
  })
  .superRefine((document, context) => {
    const refuse = (path: PropertyKey[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    if (Object.hasOwn(document.peers, document.gateway)) {
      refuse(["peers", document.gateway], "is this gateway itself, and no peer: remove it");
    }
    const places = new Map<string, string>();
    for (const [name, { keys }] of Object.entries(document.peers)) {
      for (const [index, key] of keys.entries()) {
        const path = ["peers", name, "keys", index];
        const known = places.get(key.publicKey);
        if (known !== undefined) {
          refuse(
            [...path, "publicKey"],
            `stands under peer ${known} already: a key has one owner and one use`,
          );
        }
        places.set(key.publicKey, name);
        const { notBefore, notAfter } = key;
        if (
          notBefore !== undefined &&
          notAfter !== undefined &&
          Date.parse(notBefore) >= Date.parse(notAfter)
        ) {
          refuse([...path, "notAfter"], "is not after notBefore: this key would never count");
        }
      }
    }
  });

/** `trust.json`: which gateways are known, by which keys, and what each may ask (SPEC.md, Trust). */
export type TrustDocument = z.output<typeof trustSchema>;
export type TrustedPeer = TrustDocument["peers"][GatewayName];
export type TrustedKey = TrustedPeer["keys"][number];
export type GrantsDocument = z.output<typeof grantsSchema>;

const kind: DocumentKind = {
  name: "trust.json",
  code: "TRUST_INVALID",
  maxBytes: limits.maxConfigBytes,
};

/** Throws `TRUST_INVALID`. Whether it has expired is asked of the decisions that are made from it. */
export function readTrustDocument(bytes: Uint8Array): TrustDocument {
  return readJsonDocument(bytes, trustSchema, kind);
}

/** The same for a document that was made or edited in memory. Throws `TRUST_INVALID`. */
export function checkTrustDocument(value: unknown): TrustDocument {
  return checkDocument(value, trustSchema, kind);
}

/** The JSON Schema (draft 7) of `trust.json`, for editors. */
export function trustJsonSchema(): object {
  return z.toJSONSchema(trustSchema, { io: "input", target: "draft-7" });
}

function requireSoundKey(text: string, context: z.RefinementCtx<string>): void {
  const bytes = fromBase64Url(text);
  if (bytes?.length !== 32) {
    context.addIssue({
      code: "custom",
      message: "use the 43 characters of base64url of a public key of 32 bytes",
    });
    return;
  }
  try {
    publicKeyFromBytes(bytes);
  } catch (thrown) {
    context.addIssue({ code: "custom", message: asPosternError(thrown).message });
  }
}
