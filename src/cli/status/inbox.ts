import { asPosternError, type PosternError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Mailbox } from "../../mailbox/mailbox.ts";
import { strangersBucket } from "../../mailbox/quarantine.ts";
import { inboxPrefix, parseObjectKey } from "../../protocol/object-key.ts";
import type { ListEntry } from "../../store/store.ts";
import type { Trust } from "../../trust/trust.ts";
import { momentOf, momentOrNull, type InboxView, type SenderView } from "./view.ts";

/** What one listing of the inbox tells. */
export interface InboxListing {
  readonly inbox: InboxView;
  /** When the store wrote the latest of what it listed, by its own clock; null for an empty inbox. */
  readonly latestMs: number | null;
}

/**
 * One page of the inbox, listed and not read. Answers with the failure when the store cannot be looked at.
 * `trust` tells peers from strangers: undefined when it cannot be used.
 */
export async function listInbox(
  box: Mailbox,
  trust: Trust | undefined,
): Promise<InboxListing | PosternError> {
  try {
    const query = { prefix: inboxPrefix(box.self), limit: limits.listPageKeys };
    const { entries, more } = await box.store.list(query);
    return listingOf(entries, !more, trust, box.clock.now());
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "store") throw error;
    return error;
  }
}

function listingOf(
  entries: readonly ListEntry[],
  complete: boolean,
  trust: Trust | undefined,
  nowMs: number,
): InboxListing {
  const requests = entries.flatMap(({ key, modifiedMs }) => {
    const name = parseObjectKey(key);
    return name?.kind === "request" ? [{ from: name.from, modifiedMs }] : [];
  });
  const ofSenders = Map.groupBy(requests, ({ from }) =>
    trust?.grantsOf(from) === undefined ? strangersBucket : from,
  );
  const senders = [...ofSenders].map(([sender, waiting]): SenderView => {
    const oldestMs = earliest(waiting) ?? nowMs;
    return { sender, waiting: waiting.length, oldest: momentOf(oldestMs, nowMs) };
  });
  return {
    inbox: {
      waiting: requests.length,
      complete,
      oldest: momentOrNull(earliest(requests), nowMs),
      senders: senders.toSorted((a, b) => (a.sender < b.sender ? -1 : 1)),
    },
    latestMs: entries.length === 0 ? null : Math.max(...entries.map((entry) => entry.modifiedMs)),
  };
}

function earliest(listed: readonly Pick<ListEntry, "modifiedMs">[]): number | null {
  return listed.length === 0 ? null : Math.min(...listed.map(({ modifiedMs }) => modifiedMs));
}
