import { toBase64Url } from "../../src/base/bytes.ts";
import { checkTrustDocument } from "../../src/trust/document.ts";
import { makeTrust, type Trust } from "../../src/trust/trust.ts";
import type { Machine } from "./machine.ts";

/** What a machine's operator thinks of a peer for the time being. */
export type Opinion = "granted" | "ungranted" | "revoked";

interface Pinned {
  readonly peer: Machine;
  readonly opinion: Opinion;
}

/** The trust document in which a machine pins its peers, and grants what every machine offers. */
export function trustIn(
  machine: Machine,
  peers: readonly Pinned[],
  { version, room }: { readonly version: number; readonly room: number },
): Trust {
  return makeTrust(
    checkTrustDocument({
      v: 1,
      gateway: machine.name,
      realm: machine.realm,
      version,
      expires: "2099-01-01T00:00:00Z",
      peers: Object.fromEntries(
        peers.map(({ peer, opinion }) => [peer.name, entryOf(peer, opinion, room)]),
      ),
    }),
  );
}

const granted = { kinds: ["prompt"], agents: ["report", "retry", "relay"] };

function entryOf(peer: Machine, opinion: Opinion, room: number) {
  const publicKey = toBase64Url(peer.signingKey.publicKey.bytes);
  return {
    keys: [{ publicKey, use: "gateway", ...(opinion === "revoked" ? { revoked: true } : {}) }],
    grants: opinion === "ungranted" ? {} : { ...granted, maxConcurrentRuns: room },
  };
}
