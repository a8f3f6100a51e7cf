import { fromBase64Url } from "../base/bytes.ts";
import { parseGatewayName, type GatewayName } from "../base/names.ts";
import { fingerprintOf, publicKeyFromBytes } from "../protocol/keys.ts";
import type { TrustDocument, TrustedKey, TrustedPeer } from "../trust/document.ts";

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
  const parts = [
    ...(grants.kinds ?? []),
    ...(grants.agents ?? []).map((agent) => `agent ${agent}`),
    ...(grants.tools ?? []).map((tool) => `tool ${tool}`),
    ...(grants.tenants ?? []).map((tenant) => `tenant ${tenant}`),
  ];
  return parts.length === 0 ? "nothing" : parts.join(", ");
}
