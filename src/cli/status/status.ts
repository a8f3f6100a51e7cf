import { asPosternError, PosternError } from "../../base/errors.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import type { Mailbox } from "../../mailbox/mailbox.ts";
import type { BucketOverview, Overview, Trouble } from "../../state/state.ts";
import type { Trust } from "../../trust/trust.ts";
import { lookAtInbox, type InboxLook } from "./inbox.ts";
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
  const { trust, view: trustOf } = readTrust(box);
  const looked = offline ? null : await lookAtInbox(box, trust);
  const failure = looked instanceof PosternError ? looked : null;
  const look = looked instanceof PosternError ? null : looked;
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
    inbox: look?.inbox ?? null,
    quarantine,
    clock: clockOf(overview, look, nowMs),
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

function clockOf({ highestClockMs }: Overview, look: InboxLook | null, nowMs: number) {
  const latestMs = look?.latestMs ?? null;
  return {
    behindSeconds: secondsOf(highestClockMs - nowMs),
    behindStoreSeconds: latestMs === null ? null : secondsOf(latestMs - nowMs),
  };
}

/** A document that cannot be used is part of the answer. */
function readTrust(box: Mailbox): { trust: Trust | undefined; view: StatusView["trust"] } {
  const nowMs = box.clock.now();
  try {
    const trust = box.trust.current();
    return {
      trust,
      view: trustView(
        trust,
        nowMs,
        codeOf(() => trust.requireCurrent(nowMs)),
      ),
    };
  } catch (thrown) {
    const { code } = asPosternError(thrown);
    const unread = { version: null, expiresAt: null, expiresInSeconds: null };
    return { trust: undefined, view: { ...unread, code } };
  }
}

function trustView({ version, expiresMs }: Trust, nowMs: number, code: string | null) {
  return {
    version,
    expiresAt: new Date(expiresMs).toISOString(),
    expiresInSeconds: secondsOf(expiresMs - nowMs),
    code,
  };
}

function codeOf(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (thrown) {
    return asPosternError(thrown).code;
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
