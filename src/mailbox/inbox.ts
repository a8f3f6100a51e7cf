import { limits } from "../base/limits.ts";
import { PosternError } from "../base/errors.ts";
import { isGatewayName, type GatewayName } from "../base/names.ts";
import { begunAt } from "../base/random.ts";
import {
  inboxPrefix,
  objectKey,
  parseObjectKey,
  type CancelName,
  type RequestName,
} from "../protocol/object-key.ts";
import type { ListEntry } from "../store/store.ts";
import type { Waiting } from "./admit.ts";
import type { ListedCancel } from "./cancel.ts";
import type { Mailbox } from "./mailbox.ts";
import { quarantine, warnOverBudget } from "./quarantine.ts";
import { releasedRequests } from "./release.ts";

/** One round through what waits, senders in turn, and the cancels that were met. */
export interface InboxPage {
  readonly waiting: readonly Waiting[];
  readonly cancels: readonly ListedCancel[];
  /** Who has more than was listed so far, cancels perhaps among it. */
  readonly cut: ReadonlySet<GatewayName>;
}

/**
 * Yields what waits, in the rounds of `inboxRounds`, the first of which begins with what was released from
 * quarantine; senders take turns with that as with all else, and which of them comes first is left to chance:
 * where there is room for one only, it is not always the same one's. Names that no rule makes are reported once
 * and left in place.
 */
export async function* scanInbox(
  box: Mailbox,
  skipped: ReadonlySet<GatewayName> = new Set(),
): AsyncGenerator<InboxPage> {
  let released = await releasedRequests(box);
  const start = box.random.fraction();
  let reports = true;
  for await (const round of inboxRounds(box, { skipped })) {
    const { requests, cancels, unknown, listedMs } = round;
    reports &&= await reportUnknown(box, unknown);
    const listed = requests.map(({ name, size, cancels: beside }) => ({
      name,
      size,
      cancels: beside,
      // Its cancels sort right behind it, and may lie behind the end of the page.
      listedMs: isCut(round, name) ? null : listedMs,
    }));
    const cut = new Set(round.more.map(({ sender }) => sender));
    yield { waiting: inOrder(box, [...released, ...listed], start), cancels, cut };
    released = [];
  }
}

/** What one round through the inbox lists. */
export interface InboxRound {
  readonly listedMs: number;
  readonly requests: readonly ListedRequest[];
  readonly cancels: readonly ListedCancel[];
  /** Names that no rule makes. */
  readonly unknown: readonly ListEntry[];
  /** Who has more than was listed so far. */
  readonly more: readonly Cursor[];
}

export interface ListedRequest {
  readonly name: RequestName;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970 by the store's clock. */
  readonly modifiedMs: number;
  /** Cancels listed beside it. */
  readonly cancels: readonly CancelName[];
}

export interface RoundsOptions {
  readonly only?: GatewayName;
  /** Looked at before each round. */
  readonly skipped?: ReadonlySet<GatewayName>;
}

/**
 * Lists the inbox in rounds, and does nothing else: of every sender, or of the `only` one, at most one page.
 * Only who has more than a page, and is not `skipped`, is listed in the rounds after the first, so that no
 * sender starves another and an inbox without floods costs one request.
 */
export async function* inboxRounds(
  box: Mailbox,
  { only, skipped = new Set() }: RoundsOptions = {},
): AsyncGenerator<InboxRound> {
  let listedMs = box.clock.now();
  let listing =
    only === undefined
      ? await listEverybody(box)
      : await listMore(box, [{ sender: only, startAfter: inboxPrefix(box.self, only) }]);
  yield roundOf(box, listing, listedMs);
  for (let rounds = 1; rounds < limits.inboxPagesPerPeer && listing.more.length > 0; rounds += 1) {
    listedMs = box.clock.now();
    const more = listing.more.filter(({ sender }) => !skipped.has(sender));
    if (more.length === 0) return;
    listing = await listMore(box, more);
    yield roundOf(box, listing, listedMs);
  }
}

/** Whether a page ended within what lies under the name of this request. */
function isCut({ more }: InboxRound, name: RequestName): boolean {
  const key = objectKey(name);
  return more.some(({ startAfter }) => startAfter.startsWith(key));
}

/** Lists one request, with the cancels beside it; undefined where there is none of that name. */
export async function listRequest(
  box: Mailbox,
  name: RequestName,
): Promise<ListedRequest | undefined> {
  const listedMs = box.clock.now();
  const { entries } = await box.store.list({ prefix: objectKey(name), limit: limits.listPageKeys });
  return roundOf(box, { entries, more: [] }, listedMs).requests[0];
}

/**
 * Requests in the order in which they are admitted: one of each sender, then the second of each, and so on.
 * Strangers cost nothing to invent: whatever lies under their names comes after all peers. `start`, from 0 to 1,
 * says how far down the senders the first of them is.
 */
export function inOrder<Request extends { readonly name: RequestName }>(
  box: Mailbox,
  requests: readonly Request[],
  start = 0,
): readonly Request[] {
  const trust = box.trust.current();
  const { peers = [], strangers = [] } = Object.groupBy(requests, ({ name }) =>
    trust.grantsOf(name.from) === undefined ? "strangers" : "peers",
  );
  return [...inTurn(peers, start), ...inTurn(strangers, start)];
}

/** Where the listing of one sender's objects goes on. */
interface Cursor {
  readonly sender: GatewayName;
  readonly startAfter: string;
}

interface Listing {
  readonly entries: readonly ListEntry[];
  /** Who has more than was listed. */
  readonly more: readonly Cursor[];
}

/**
 * Where a page ends inside a sender's objects, the next one begins behind the last of them. Names cost nothing to
 * invent: the peers behind more of them than are gone through are asked for by name.
 */
async function listEverybody(box: Mailbox): Promise<Listing> {
  const prefix = inboxPrefix(box.self);
  const entries: ListEntry[] = [];
  const more: Cursor[] = [];
  let startAfter: string | undefined;
  for (let pages = 0; pages < limits.inboxPagesPerRound; pages += 1) {
    const after = startAfter === undefined ? {} : { startAfter };
    const page = await box.store.list({ prefix, limit: limits.listPageKeys, ...after });
    entries.push(...page.entries);
    const last = page.entries.at(-1)?.key;
    if (!page.more || last === undefined) return { entries, more };
    const [sender = "", ...below] = last.slice(prefix.length).split("/");
    // What lies in a sender's own place has nothing below it, and stands before senders whose names begin so.
    if (below.length === 0) {
      startAfter = last;
      continue;
    }
    // What lies under no gateway's name was reported with its first page.
    if (isGatewayName(sender)) more.push({ sender, startAfter: last });
    // "0" is the character after "/": the first name that cannot be this sender's any more.
    startAfter = `${prefix}${sender}0`;
  }
  const hidden = box.trust.current().peers.flatMap((sender) => {
    const ofPeer = inboxPrefix(box.self, sender);
    return startAfter !== undefined && ofPeer > startAfter ? [{ sender, startAfter: ofPeer }] : [];
  });
  const rest = await listMore(box, hidden);
  return { entries: [...entries, ...rest.entries], more: [...more, ...rest.more] };
}

async function listMore(box: Mailbox, cursors: readonly Cursor[]): Promise<Listing> {
  const entries: ListEntry[] = [];
  const more: Cursor[] = [];
  for (const { sender, startAfter } of cursors) {
    const prefix = inboxPrefix(box.self, sender);
    const page = await box.store.list({ prefix, limit: limits.listPageKeys, startAfter });
    entries.push(...page.entries);
    const last = page.entries.at(-1)?.key;
    if (page.more && last !== undefined) more.push({ sender, startAfter: last });
  }
  return { entries, more };
}

function roundOf(box: Mailbox, { entries, more }: Listing, listedMs: number): InboxRound {
  const requests: Omit<ListedRequest, "cancels">[] = [];
  const cancels: ListedCancel[] = [];
  const unknown: ListEntry[] = [];
  for (const entry of entries) {
    const { key, size, modifiedMs } = entry;
    const name = parseObjectKey(key);
    if (name?.kind === "request" && name.to === box.self) requests.push({ name, size, modifiedMs });
    else if (name?.kind === "cancel" && name.to === box.self) cancels.push({ name, modifiedMs });
    else unknown.push(entry);
  }
  const ofRun = Map.groupBy(
    cancels.map((cancel) => cancel.name),
    ({ from, runId }) => `${from}/${runId}`,
  );
  const beside = ({ from, runId }: RequestName) => ofRun.get(`${from}/${runId}`) ?? [];
  return {
    listedMs,
    requests: requests.map((request) => ({ ...request, cancels: beside(request.name) })),
    cancels,
    unknown,
    more,
  };
}

function inTurn<Request extends { readonly name: RequestName }>(
  requests: readonly Request[],
  start: number,
): Request[] {
  const groups = [...Map.groupBy(requests, ({ name }) => name.from).values()];
  const placed = begunAt(groups, start).flatMap((ofOne) =>
    ofOne.map((request, turn) => ({ request, turn })),
  );
  return placed.toSorted((a, b) => a.turn - b.turn).map(({ request }) => request);
}

/** False once quarantine has no more room: as many names as anybody likes may lie there. */
async function reportUnknown(box: Mailbox, unknown: readonly ListEntry[]): Promise<boolean> {
  const error = new PosternError(
    "KEY_NAME_UNKNOWN",
    "no rule makes such a name: it is left in place, unread",
  );
  for (const { key, size } of unknown) {
    const answer = await quarantine(box, { key, from: undefined, bytes: null, size, error });
    if (answer !== "over-budget") continue;
    warnOverBudget(box, undefined);
    return false;
  }
  return true;
}
