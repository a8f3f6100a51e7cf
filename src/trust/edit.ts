import { toBase64Url } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { AgentName, GatewayName } from "../base/names.ts";
import type { CardPayload } from "../protocol/card.ts";
import type { RequestKind } from "../protocol/request.ts";
import {
  checkTrustDocument,
  type GrantsDocument,
  type TrustDocument,
  type TrustedPeer,
} from "./document.ts";

/** What an edit grants besides what is granted already; the numbers take the place of those before. */
export interface Granting {
  /** Absent: `prompt` where agents are named, `toolCall` where tools are. */
  readonly kinds?: readonly RequestKind[];
  readonly agents?: readonly AgentName[];
  readonly tools?: readonly string[];
  readonly tenants?: readonly string[];
  readonly maxRequestBytes?: number;
  readonly maxConcurrentRuns?: number;
  readonly maxRequestsPerMinute?: number;
}

/** What a trust document needs of a card whose fingerprint a person has compared. */
export type Introduction = Pick<CardPayload, "realm" | "gateway" | "keys">;

/** A document that knows nobody: where every gateway starts. */
export function newTrustDocument(
  self: Pick<TrustDocument, "gateway" | "realm">,
  nowMs: number,
): TrustDocument {
  return checkTrustDocument({
    $schema: "./schema/trust.schema.json",
    v: 1,
    gateway: self.gateway,
    realm: self.realm,
    version: 1,
    expires: oneTerm(nowMs),
    peers: {},
  });
}

/**
 * The document with one more peer, which may ask only what `granting` names. Throws `PEER_EXISTS`,
 * `CARD_INVALID` for a card of another realm, and `TRUST_INVALID` when the card's keys are another peer's
 * or the card is this gateway's own.
 */
export function addPeer(
  document: TrustDocument,
  card: Introduction,
  granting: Granting,
  nowMs: number,
): TrustDocument {
  const { gateway, realm } = card;
  if (realm !== document.realm) {
    throw new PosternError(
      "CARD_INVALID",
      `the card of ${gateway} is for realm ${realm}, and this gateway is in ${document.realm}: ask for the right card`,
    );
  }
  if (Object.hasOwn(document.peers, gateway)) {
    throw new PosternError(
      "PEER_EXISTS",
      `${gateway} is a peer already: grant it more with \`postern peers grant\`, or edit trust.json and raise "version" there`,
    );
  }
  const keys = card.keys.map((key) => ({
    publicKey: toBase64Url(key.bytes),
    use: "gateway" as const,
  }));
  return edited(
    document,
    { ...document.peers, [gateway]: { keys, grants: moreGrants({}, granting) } },
    nowMs,
  );
}

/** The document in which a peer may also ask what `granting` names. Throws `PEER_MISSING` or `TRUST_INVALID`. */
export function grantPeer(
  document: TrustDocument,
  name: GatewayName,
  granting: Granting,
  nowMs: number,
): TrustDocument {
  const peer = requirePeer(document, name);
  const changed = { ...peer, grants: moreGrants(peer.grants ?? {}, granting) };
  return edited(document, { ...document.peers, [name]: changed }, nowMs);
}

/** The document without that peer. Throws `PEER_MISSING`. */
export function removePeer(
  document: TrustDocument,
  name: GatewayName,
  nowMs: number,
): TrustDocument {
  requirePeer(document, name);
  const others = Object.entries(document.peers).filter(([other]) => other !== name);
  return edited(document, Object.fromEntries(others), nowMs);
}

/** The entry of a peer. Throws `PEER_MISSING`. */
export function requirePeer(document: TrustDocument, name: GatewayName): TrustedPeer {
  const peer = Object.hasOwn(document.peers, name) ? document.peers[name] : undefined;
  if (peer !== undefined) return peer;
  throw new PosternError("PEER_MISSING", `${name} is no peer: see \`postern peers list\``);
}

/** Every edit raises the version and is good for one term: whoever edits has looked at the document. */
function edited(document: TrustDocument, peers: object, nowMs: number): TrustDocument {
  return checkTrustDocument({
    ...document,
    version: document.version + 1,
    expires: oneTerm(nowMs),
    peers,
  });
}

function oneTerm(nowMs: number): string {
  return new Date(nowMs + limits.trustLifetimeMs).toISOString();
}

function moreGrants(grants: GrantsDocument, granting: Granting): GrantsDocument {
  const {
    kinds = impliedKinds(granting),
    agents = [],
    tools = [],
    tenants = [],
    ...numbers
  } = granting;
  const joinedTenants = union(grants.tenants, tenants);
  return {
    ...grants,
    kinds: union(grants.kinds, kinds),
    agents: union(grants.agents, agents),
    tools: union(grants.tools, tools),
    ...(joinedTenants.length === 0 ? {} : { tenants: joinedTenants }),
    ...numbers,
  };
}

function impliedKinds({ agents = [], tools = [] }: Granting): RequestKind[] {
  return [
    ...(agents.length > 0 ? ["prompt" as const] : []),
    ...(tools.length > 0 ? ["toolCall" as const] : []),
  ];
}

function union<T>(before: readonly T[] | undefined, more: readonly T[]): T[] {
  return [...new Set([...(before ?? []), ...more])];
}
