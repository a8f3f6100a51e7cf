import { asPosternError, PosternError } from "../../base/errors.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { checkTrust, isOwnTrustCode } from "../../mailbox/grants.ts";
import type { Mailbox } from "../../mailbox/mailbox.ts";
import type { BucketOverview } from "../../state/quarantine.ts";
import type { Overview } from "../../state/state.ts";
import type { Trouble } from "../../state/troubles.ts";
import type { Trust } from "../../trust/trust.ts";
import { listInbox, type InboxListing } from "./inbox.ts";
import {
  momentOf,
  momentOrNull,
  secondsOf,
  type QuarantinedView,
  type StatusView,
  type TroubleView,
} from "./view.ts";

/** Everything but what it means for whoever watches: see `attentionOf`. */
export type Status = Omit<StatusView, "attention">;

/**
 * How a gateway stands: from its state, its trust document and, unless `offline`, one listing of its inbox.
 * Changes nothing anywhere. Rejects as the state does; a store that is away is part of the answer.
 */
export async function readStatus(
  { mailbox: box }: Pick<Gateway, "mailbox">,
  { offline }: { readonly offline: boolean },
): Promise<Status> {
  const { trust, view: trustOf } = await readTrust(box);
  const listed = offline ? null : await listInbox(box, trust);
  const failure = listed instanceof PosternError ? listed : null;
  const listing = listed instanceof PosternError ? null : listed;
  const overview = await box.state.overview();
  const troubles = await box.state.troubles();
  const quarantine = await quarantineOf(box, overview.quarantine);
  const nowMs = box.clock.now();
  return {
    at: new Date(nowMs).toISOString(),
    gateway: box.self,
    realm: box.realm,
    store: {
      location: box.store.capabilities.location,
      reached: offline ? null : failure === null,
      code: failure?.code ?? null,
      message: failure?.message ?? null,
    },
    ...countsOf(overview, nowMs),
    inbox: listing?.inbox ?? null,
    quarantine,
    clock: clockOf(overview, listing, nowMs),
    trust: trustOf,
    troubles: troubles.map((trouble) => troubleView(trouble, nowMs)),
  };
}

function countsOf({ received, asked, owner, lastPass, lastGoodPassMs }: Overview, nowMs: number) {
  return {
    passes: {
      last: lastPass === null ? null : { ...momentOf(lastPass.atMs, nowMs), code: lastPass.code },
      lastGood: momentOrNull(lastGoodPassMs, nowMs),
    },
    received: {
      admitted: received.admitted,
      running: received.running,
      unpublished: received.unpublished,
      oldest: momentOrNull(received.oldestOpenMs, nowMs),
    },
    asked: {
      open: asked.open,
      unknown: asked.unknown,
      oldest: momentOrNull(asked.oldestOpenMs, nowMs),
    },
    owner: {
      generation: owner.generation,
      claimed: momentOrNull(owner.claimedMs, nowMs),
      elsewhere: owner.elsewhere,
    },
  };
}

function clockOf({ highestClockMs }: Overview, listing: InboxListing | null, nowMs: number) {
  const latestMs = listing?.latestMs ?? null;
  return {
    behindSeconds: secondsOf(highestClockMs - nowMs),
    behindStoreSeconds: latestMs === null ? null : secondsOf(latestMs - nowMs),
  };
}

/** A document that cannot be used is part of the answer. */
async function readTrust(
  box: Mailbox,
): Promise<{ readonly trust: Trust | undefined; readonly view: StatusView["trust"] }> {
  let trust: Trust;
  try {
    trust = box.trust.current();
  } catch (thrown) {
    const { code } = asPosternError(thrown);
    const unread = { version: null, expiresAt: null, expiresInSeconds: null };
    return { trust: undefined, view: { ...unread, code } };
  }
  const { version, expiresMs } = trust;
  const view = {
    version,
    expiresAt: new Date(expiresMs).toISOString(),
    expiresInSeconds: secondsOf(expiresMs - box.clock.now()),
    code: await whyUnusable(box),
  };
  return { trust, view };
}

async function whyUnusable(box: Mailbox): Promise<string | null> {
  try {
    await checkTrust(box);
    return null;
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (!isOwnTrustCode(error.code)) throw error;
    return error.code;
  }
}

async function quarantineOf(
  box: Mailbox,
  buckets: readonly BucketOverview[],
): Promise<readonly QuarantinedView[]> {
  const views: QuarantinedView[] = [];
  for (const { bucket, entries, bytes, released } of buckets) {
    const [latest] = await box.state.quarantined({ bucket, limit: 1 });
    // Collected or discarded since it was counted.
    if (latest === undefined) continue;
    const { code, atMs } = latest;
    const moment = { ...momentOf(atMs, box.clock.now()), code };
    views.push({ sender: bucket, entries, bytes, released, latest: moment });
  }
  return views;
}

function troubleView({ subject, code, message, atMs }: Trouble, nowMs: number): TroubleView {
  return { peer: subject === "" ? null : subject, code, message, ...momentOf(atMs, nowMs) };
}
