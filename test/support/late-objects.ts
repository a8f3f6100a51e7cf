import { gc } from "../../src/gateway/gc.ts";
import { poll } from "../../src/gateway/poll.ts";
import type { ResponderOptions } from "../../src/gateway/responder.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import type { Store } from "../../src/store/store.ts";

/**
 * What came so late that it lies there again is taken once the line is good: a request by a pass, the rest by
 * retention. Resolves to how many runs that pass began, of which there should be none.
 */
export async function takeLateObjects(
  mailbox: Mailbox,
  options: ResponderOptions,
): Promise<number> {
  const { admitted, takenOver } = await poll(mailbox, options);
  await gc(mailbox, { sweepTemporaries: async () => 0 });
  return admitted + takenOver;
}

/** What lies in a store besides owner keys. Closes it. */
export async function leftIn(store: Store): Promise<readonly string[]> {
  const { entries } = await store.list({ prefix: "", limit: 1000 });
  await store.close();
  return entries.map(({ key }) => key).filter((key) => parseObjectKey(key)?.kind !== "owner");
}
