import { isDeepStrictEqual } from "node:util";
import { string } from "@oclif/core/args";
import { PosternError } from "../base/errors.ts";
import type { GatewayName } from "../base/names.ts";
import { updateTrust, type HomePaths } from "../gateway/home.ts";
import type { TrustDocument } from "../trust/document.ts";
import { requirePeer } from "../trust/edit.ts";

/** What the commands about one peer take. */
export const peerArgs = {
  name: string({ description: "The peer's name.", required: true, ignoreStdin: true }),
};

/**
 * Makes an edit that somebody agreed to who was shown the peer's entry in `shown`. Throws `STATE_BUSY` when the
 * entry is another one by now, and like `updateTrust`.
 */
export function editShownPeer(
  paths: HomePaths,
  name: GatewayName,
  shown: TrustDocument,
  edit: (document: TrustDocument) => TrustDocument,
): TrustDocument {
  return updateTrust(paths, (document) => {
    if (isDeepStrictEqual(requirePeer(document, name), requirePeer(shown, name)))
      return edit(document);
    throw new PosternError(
      "STATE_BUSY",
      `the entry of ${name} in trust.json was changed meanwhile: look at it, and try again`,
    );
  });
}
