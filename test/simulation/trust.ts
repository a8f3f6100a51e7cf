import { toBase64Url } from "../../src/base/bytes.ts";
import { checkTrustDocument } from "../../src/trust/document.ts";
import { makeTrust, type Trust } from "../../src/trust/trust.ts";
import type { Machine } from "./machine.ts";

/** What a machine's operator thinks of its peer for the time being. */
export type Opinion = "granted" | "ungranted" | "revoked";

/** The trust document in which a machine pins its peer, and grants what `Machine.agents` offers. */
export function trustIn(machine: Machine, peer: Machine, version: number, opinion: Opinion): Trust {
  const publicKey = toBase64Url(peer.signingKey.publicKey.bytes);
  const granted = { kinds: ["prompt"], agents: ["report", "retry"], maxConcurrentRuns: 2 };
  return makeTrust(
    checkTrustDocument({
      v: 1,
      gateway: machine.name,
      realm: machine.realm,
      version,
      expires: "2099-01-01T00:00:00Z",
      peers: {
        [peer.name]: {
          keys: [
            { publicKey, use: "gateway", ...(opinion === "revoked" ? { revoked: true } : {}) },
          ],
          grants: opinion === "ungranted" ? {} : granted,
        },
      },
    }),
  );
}
