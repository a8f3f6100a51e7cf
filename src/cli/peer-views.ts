import { isDeepStrictEqual } from "node:util";
import { fromBase64Url } from "../base/bytes.ts";
import { parseGatewayName, type GatewayName } from "../base/names.ts";
import { fingerprintOf, publicKeyFromBytes } from "../protocol/keys.ts";
import type { TrustDocument, TrustedKey, TrustedPeer } from "../trust/document.ts";
import { makeTrust, type PeerGrants } from "../trust/trust.ts";

/** A peer as `peers list` and `peers show` tell it: its keys by fingerprint, and what it may ask. */
export function peerView(name: GatewayName, { keys, grants }: TrustedPeer) {
  return { name, keys: keys.map(keyView), grants: grants ?? {} };
}

export function peerViews({ peers }: TrustDocument) {
  return Object.entries(peers).map(([name, peer]) => peerView(parseGatewayName(name), peer));
}

function keyView({ publicKey, ...rest }: TrustedKey) {
  const bytes = fromBase64Url(publicKey) ?? new Uint8Array();
  return { fingerprint: fingerprintOf(publicKeyFromBytes(bytes)), ...rest };
}

/** What a peer may ask, in a few words. */
export function grantsText(grants: NonNullable<TrustedPeer["grants"]>): string {
  const { maxRequestBytes, maxConcurrentRuns, maxRequestsPerMinute } = grants;
  const parts = [
    ...(grants.kinds ?? []),
    ...(grants.agents ?? []).map((agent) => `agent ${agent}`),
    ...(grants.tools ?? []).map((tool) => `tool ${tool}`),
    ...(grants.tenants ?? []).map((tenant) => `tenant ${tenant}`),
  ];
  const bounds = [
    ...(maxRequestBytes === undefined ? [] : [`${maxRequestBytes} bytes a request`]),
    ...(maxConcurrentRuns === undefined ? [] : [`${maxConcurrentRuns} at once`]),
    ...(maxRequestsPerMinute === undefined ? [] : [`${maxRequestsPerMinute} a minute`]),
  ];
  return [...(parts.length === 0 ? ["nothing"] : parts), ...bounds].join(", ");
}

/** What an edit changes in what a peer may ask: each name of a grant as it is in force before and after. */
export function grantChanges(
  name: GatewayName,
  before: TrustDocument,
  after: TrustDocument,
): string[] {
  const old = makeTrust(before).grantsOf(name);
  const changed = makeTrust(after).grantsOf(name);
  if (old === undefined || changed === undefined) return [];
  return grantNames
    .filter((each) => !isDeepStrictEqual(old[each], changed[each]))
    .map((each) => `${each}: ${granted(each, old)} -> ${granted(each, changed)}`);
}

const grantNames = [
  "kinds",
  "agents",
  "tools",
  "tenants",
  "maxRequestBytes",
  "maxConcurrentRuns",
  "maxRequestsPerMinute",
] as const;

function granted(name: (typeof grantNames)[number], grants: PeerGrants): string {
  const value = grants[name];
  if (typeof value === "number") return `${value}`;
  if (value.length > 0) return value.join(", ");
  return name === "tenants" ? "any" : "none";
}
