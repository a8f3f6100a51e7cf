import { PosternError } from "../base/errors.ts";
import {
  isAgentName,
  isGatewayName,
  isRealm,
  type AgentName,
  type GatewayName,
  type Realm,
} from "../base/names.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { Fields } from "./fields.ts";
import { publicKeyFromBytes, type PublicKey } from "./keys.ts";
import { payloadFields } from "./request.ts";

/**
 * What a gateway says of itself (SPEC.md, Card): its keys and the agents on offer. A card proves only that
 * whoever holds its first key wrote it; a person compares the fingerprint before anything is believed.
 */
export interface CardPayload {
  readonly realm: Realm;
  readonly gateway: GatewayName;
  /** Rises by one with every card; the highest counts. */
  readonly version: number;
  /** Keys of use `gateway`; the card is signed by the first. */
  readonly keys: readonly PublicKey[];
  readonly agents: readonly CardAgent[];
  readonly maxRequestBytes: number;
}

export interface CardAgent {
  readonly name: AgentName;
  readonly description?: string;
}

const mostKeys = 8;
const mostAgents = 256;
const descriptionBytes = 512;

/** Throws `PAYLOAD_INVALID` for what `decodeCard` would refuse. */
export function encodeCard(card: CardPayload): Uint8Array {
  const bytes = encodeCbor({
    v: 1,
    realm: card.realm,
    gateway: card.gateway,
    version: card.version,
    keys: card.keys.map((key) => key.bytes),
    agents: card.agents.map((agent) => ({ ...agent })),
    maxRequestBytes: card.maxRequestBytes,
  });
  decodeCard(bytes);
  return bytes;
}

/** Throws `VERSION_UNSUPPORTED`, `PAYLOAD_INVALID`, `KEY_INVALID` or a `CBOR_*` code. */
export function decodeCard(bytes: Uint8Array): CardPayload {
  const fields = payloadFields(decodeCbor(bytes), "card");
  const keys = fields.list("keys", mostKeys).map((item) => {
    if (!(item instanceof Uint8Array))
      throw new PosternError("PAYLOAD_INVALID", "card.keys must list byte strings");
    return publicKeyFromBytes(item);
  });
  if (keys.length === 0) throw new PosternError("PAYLOAD_INVALID", "card.keys must not be empty");
  const agents = fields.list("agents", mostAgents).map((item, index): CardAgent => {
    const agent = new Fields(item, `card.agents[${index}]`);
    const description = agent.optionalText("description", { maxBytes: descriptionBytes });
    return {
      name: agent.name("name", "an agent name", isAgentName),
      ...(description === undefined ? {} : { description }),
    };
  });
  return {
    realm: fields.name("realm", "a realm", isRealm),
    gateway: fields.name("gateway", "a gateway name", isGatewayName),
    version: fields.integer("version", 1, 9_999_999_999),
    keys,
    agents,
    maxRequestBytes: fields.integer("maxRequestBytes", 1),
  };
}
