import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fromBase64Url, utf8 } from "../../src/base/bytes.ts";
import { parseGatewayName } from "../../src/base/names.ts";
import { publicKeyFromBytes } from "../../src/protocol/keys.ts";
import { readTrustDocument } from "../../src/trust/document.ts";
import { makeTrust } from "../../src/trust/trust.ts";
import { codeOf } from "../base/code-of.ts";
import { blocksOf } from "../support/markdown.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/security.md"), "utf8");

it("the trust document of the page is one, and revokes the key that it says", () => {
  const [example = ""] = blocksOf(page, "json");
  const document = readTrustDocument(utf8(example));
  const iss = parseGatewayName("hq");
  const [{ publicKey } = { publicKey: "" }] = document.peers[iss]?.keys ?? [];
  const { kid } = publicKeyFromBytes(fromBase64Url(publicKey) ?? new Uint8Array());
  expect(codeOf(() => makeTrust(document).gatewayKey({ iss, iat: 0 }, kid, 0))).toBe("KEY_REVOKED");
});
