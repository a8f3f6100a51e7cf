import { fromBase64Url } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseGatewayName, type AgentName, type GatewayName, type Realm } from "../base/names.ts";
import type { Claims } from "../protocol/envelope.ts";
import { publicKeyFromBytes, type PublicKey } from "../protocol/keys.ts";
import type { RequestKind } from "../protocol/request.ts";
import type { GrantsDocument, TrustDocument, TrustedKey, TrustedPeer } from "./document.ts";

/** What one peer may ask, as its entry in the trust document says; absent means no. */
export interface PeerGrants {
  readonly kinds: readonly RequestKind[];
  readonly agents: readonly AgentName[];
  readonly tools: readonly string[];
  /** Empty: requests with or without any tenant; otherwise a request must name one of these. */
  readonly tenants: readonly string[];
  readonly maxRequestBytes: number;
  readonly maxConcurrentRuns: number;
  readonly maxRequestsPerMinute: number;
}

/** What a request asks for, as far as grants look at it. */
export interface Asked {
  readonly from: GatewayName;
  readonly kind: RequestKind;
  readonly agent: AgentName;
  /** The tool's name when kind is toolCall. */
  readonly tool?: string;
  readonly tenant?: string;
  readonly bytes: number;
}

/** Decisions from one trust document; pure. Every decision is made afresh from the document and the time. */
export interface Trust {
  readonly gateway: GatewayName;
  readonly realm: Realm;
  readonly version: number;
  /** From then on it decides nothing any more, in milliseconds since 1970. */
  readonly expiresMs: number;
  readonly peers: readonly GatewayName[];
  /** Throws `TRUST_EXPIRED`. */
  requireCurrent(nowMs: number): void;
  /**
   * The pinned gateway key that may sign for `claims.iss`, now and when it signed. Throws `PEER_UNKNOWN`,
   * `KEY_UNKNOWN`, `KEY_REVOKED` or `KEY_OUTSIDE_WINDOW`.
   */
  gatewayKey(claims: Claims, kid: string, nowMs: number): PublicKey;
  /**
   * Throws unless some key of the peer verifies now, or will: `PEER_UNKNOWN`, `KEY_REVOKED` when all its keys are
   * revoked, `KEY_OUTSIDE_WINDOW` when those that are not are past their time.
   */
  requireUsableKey(peer: GatewayName, nowMs: number): void;
  /** The grants of a peer, or undefined for an unknown peer. */
  grantsOf(peer: GatewayName): PeerGrants | undefined;
  /** Undefined when granted; otherwise code NOT_GRANTED (unknown and ungranted alike, one text) or TOO_LARGE. */
  refusalOf(asked: Asked): Refusal | undefined;
}

export interface Refusal {
  readonly code: "NOT_GRANTED" | "TOO_LARGE";
  readonly message: string;
}

/** Unknown and not granted share one code and one text: a refusal tells nothing about what there is. */
export const notGrantedText = "not granted to this peer, or not known here";

/** `document` as it was read or checked (see `document.ts`). Throws `KEY_INVALID` for keys that never were. */
export function makeTrust(document: TrustDocument): Trust {
  return new DocumentTrust(document);
}

/** One key of a peer; times in milliseconds. */
interface PinnedKey {
  readonly key: PublicKey;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly revoked: boolean;
}

interface PinnedPeer {
  readonly keys: ReadonlyMap<string, PinnedKey>;
  readonly grants: PeerGrants;
}

class DocumentTrust implements Trust {
  readonly gateway: GatewayName;
  readonly realm: Realm;
  readonly version: number;
  readonly expiresMs: number;
  readonly peers: readonly GatewayName[];
  readonly #peers: ReadonlyMap<GatewayName, PinnedPeer>;

  constructor(document: TrustDocument) {
    this.gateway = document.gateway;
    this.realm = document.realm;
    this.version = document.version;
    this.expiresMs = Date.parse(document.expires);
    this.#peers = new Map(
      Object.entries(document.peers).map(([name, peer]) => [
        parseGatewayName(name),
        pinnedPeer(peer),
      ]),
    );
    this.peers = [...this.#peers.keys()];
  }

  requireCurrent(nowMs: number): void {
    // A date that cannot be read is NaN, and no time is before it.
    if (nowMs < this.expiresMs) return;
    throw new PosternError(
      "TRUST_EXPIRED",
      `trust.json of ${this.gateway} has expired: review it, then set "expires" anew and raise "version"`,
    );
  }

  gatewayKey(claims: Claims, kid: string, nowMs: number): PublicKey {
    const pinned = this.#peer(claims.iss).keys.get(kid);
    if (pinned === undefined) {
      throw new PosternError(
        "KEY_UNKNOWN",
        `key ${kid} is not pinned for ${claims.iss}: ask for its new card`,
      );
    }
    if (pinned.revoked) {
      throw new PosternError(
        "KEY_REVOKED",
        `key ${kid} of ${claims.iss} is revoked and verifies nothing`,
      );
    }
    if (!isWithin(pinned, nowMs) || !isWithin(pinned, claims.iat * 1000)) {
      throw new PosternError(
        "KEY_OUTSIDE_WINDOW",
        `key ${kid} of ${claims.iss} counts from notBefore until notAfter in trust.json, now and when it signs`,
      );
    }
    return pinned.key;
  }

  requireUsableKey(peer: GatewayName, nowMs: number): void {
    const standing = [...this.#peer(peer).keys.values()].filter(({ revoked }) => !revoked);
    if (standing.some(({ notAfterMs }) => nowMs < notAfterMs)) return;
    const pin = "ask for its new card, and pin the key in trust.json";
    if (standing.length === 0) {
      throw new PosternError(
        "KEY_REVOKED",
        `every key of ${peer} is revoked, so nothing it says is believed: ${pin}`,
      );
    }
    throw new PosternError(
      "KEY_OUTSIDE_WINDOW",
      `every key of ${peer} is past its notAfter or revoked, so nothing it says is believed: ${pin}`,
    );
  }

  grantsOf(peer: GatewayName): PeerGrants | undefined {
    return this.#peers.get(peer)?.grants;
  }

  refusalOf(asked: Asked): Refusal | undefined {
    const grants = this.grantsOf(asked.from);
    if (grants === undefined || !isGranted(grants, asked)) {
      return { code: "NOT_GRANTED", message: notGrantedText };
    }
    if (asked.bytes > grants.maxRequestBytes) {
      return {
        code: "TOO_LARGE",
        message: `the request has ${asked.bytes} bytes, and ${grants.maxRequestBytes} are granted`,
      };
    }
    return undefined;
  }

  #peer(name: GatewayName): PinnedPeer {
    const peer = this.#peers.get(name);
    if (peer !== undefined) return peer;
    throw new PosternError(
      "PEER_UNKNOWN",
      `${name} is no peer: add its card by \`postern peers add\``,
    );
  }
}

function isGranted(grants: PeerGrants, { kind, agent, tool, tenant }: Asked): boolean {
  if (!grants.kinds.includes(kind) || !grants.agents.includes(agent)) return false;
  if (kind === "toolCall" && (tool === undefined || !grants.tools.includes(tool))) return false;
  return grants.tenants.length === 0 || (tenant !== undefined && grants.tenants.includes(tenant));
}

function pinnedPeer({ keys, grants }: TrustedPeer): PinnedPeer {
  return {
    keys: new Map(keys.map(pinnedKey).map((pinned) => [pinned.key.kid, pinned])),
    grants: grantsFrom(grants ?? {}),
  };
}

function grantsFrom(grants: GrantsDocument): PeerGrants {
  return {
    kinds: [],
    agents: [],
    tools: [],
    tenants: [],
    maxRequestBytes: limits.maxEnvelopeBytes,
    maxConcurrentRuns: limits.defaultMaxPeerRuns,
    maxRequestsPerMinute: limits.defaultMaxRequestsPerMinute,
    ...grants,
  };
}

function pinnedKey({ publicKey, notBefore, notAfter, revoked }: TrustedKey): PinnedKey {
  return {
    key: publicKeyFromBytes(fromBase64Url(publicKey) ?? new Uint8Array()),
    notBeforeMs: notBefore === undefined ? -Infinity : Date.parse(notBefore),
    notAfterMs: notAfter === undefined ? Infinity : Date.parse(notAfter),
    // Whatever date is on it: who stole a key can also write dates of before.
    revoked: revoked !== undefined,
  };
}

/** From `notBefore` on, and before `notAfter`; a date that cannot be read lets nothing in. */
function isWithin(window: PinnedKey, ms: number): boolean {
  return ms >= window.notBeforeMs && ms < window.notAfterMs;
}
