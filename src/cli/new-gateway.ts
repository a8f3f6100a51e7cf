import { systemClock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import type { GatewayName, Realm } from "../base/names.ts";
import { systemRandom } from "../base/random.ts";
import { homePaths, requireApart, type Home } from "../gateway/home.ts";
import { initHome } from "../gateway/init-home.ts";
import { machineName } from "../gateway/machine.ts";
import { hasOwner } from "../mailbox/owner.ts";
import { openStore, parseStoreUrl } from "../store/open.ts";

export interface NewGateway {
  readonly home: string;
  readonly gateway: GatewayName;
  readonly realm: Realm;
  readonly storeUrl: string;
}

/**
 * Makes a gateway: a home, and the folder of a folder store. Where the name was served over this store before,
 * new keys would let everything of before run again: then it refuses, as it does when the store cannot tell.
 *
 * Rejects with `STORE_URL_INVALID`, `CONFIG_INVALID`, `HOME_EXISTS`, `STATE_ELSEWHERE`, or as store and state do.
 */
export async function makeGateway(made: NewGateway): Promise<Home> {
  const { home, gateway, realm, storeUrl } = made;
  const url = parseStoreUrl(storeUrl);
  requireApart(homePaths(home), url);
  const clock = systemClock;
  const random = systemRandom;
  const store = await openStore(url, { clock, random, create: true });
  const { id } = store.capabilities;
  try {
    if (await hasOwner({ store, self: gateway })) {
      throw new PosternError(
        "STATE_ELSEWHERE",
        `${gateway} was served over ${url.location} before: bring its home back and run \`postern state recover\`, or choose another name`,
      );
    }
  } finally {
    await store.close();
  }
  const machine = machineName();
  const pinned = id === undefined ? {} : { storeId: id };
  return initHome({ home, gateway, realm, store: url.location, ...pinned, clock, random, machine });
}
