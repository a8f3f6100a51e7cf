import { asPosternError } from "../base/errors.ts";
import type { ObjectKey } from "../base/names.ts";
import type { Mailbox } from "./mailbox.ts";
import { quarantine, quarantineObject, type Quarantined, type Refused } from "./quarantine.ts";
import { readObject, type ReadObject } from "./read-object.ts";

/** Where the bytes of a waiting request lie, and what becomes of them there. */
export interface RequestSource {
  read(): Promise<ReadObject>;
  /** It was refused: its bytes are kept in quarantine. */
  refuse(refused: Omit<Refused, "key">): Promise<Quarantined>;
  /** A receipt holds its bytes from here on. */
  taken(): Promise<void>;
}

/** A request in the inbox, where it stays until its ending is published. */
export function inboxSource(box: Mailbox, key: ObjectKey): RequestSource {
  return {
    read: () => readObject(box.store, key),
    refuse: (refused) => quarantineObject(box, key, refused),
    taken: () => Promise.resolve(),
  };
}

/**
 * A request that was released from quarantine, under the id of its entry. What lies under its key in the store
 * is another object, or another copy, and stays there when this one is taken.
 */
export function releasedSource(box: Mailbox, key: ObjectKey, id: string): RequestSource {
  return {
    read: async () => {
      const entry = await box.state.quarantinedEntry(id);
      // Since it was listed, another process may have dealt with it, or an operator discarded it.
      if (entry?.released !== true || entry.bytes === null) return { status: "absent" };
      return { status: "found", bytes: entry.bytes };
    },
    refuse: (refused) => quarantine(box, { ...refused, key }),
    taken: async () => {
      try {
        // Durable, and by that the receipt as well: neither is lost without the other.
        await box.state.discardQuarantined(id);
      } catch (thrown) {
        // Its run is worth more than the entry: the next pass meets the receipt, and comes here again.
        const { code } = asPosternError(thrown);
        box.log.warn({ key, code }, "a released request has its receipt, and stays in quarantine");
      }
    },
  };
}
