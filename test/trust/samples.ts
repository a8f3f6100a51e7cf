import { toBase64Url } from "../../src/base/bytes.ts";
import { parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { signingKeyFromSeed, type SigningKey } from "../../src/protocol/keys.ts";

export const nowMs = Date.parse("2030-06-01T12:00:00Z");
export const self = parseGatewayName("acme.eu");
export const realm = parseRealm("prod");
export const lab = parseGatewayName("lab");

export function keyNumber(number: number): SigningKey {
  return signingKeyFromSeed(new Uint8Array(32).fill(number));
}

export function publicText(number: number): string {
  return toBase64Url(keyNumber(number).publicKey.bytes);
}

export const oneKey = { publicKey: publicText(1), use: "gateway" };

/** The peers of a document, in a document that is good besides. */
export function documentWith(peers: object, fields: object = {}): object {
  return {
    v: 1,
    gateway: self,
    realm,
    version: 3,
    expires: "2031-01-01T00:00:00Z",
    peers,
    ...fields,
  };
}
