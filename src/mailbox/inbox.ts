import { limits } from "../base/limits.ts";
import { PosternError } from "../base/errors.ts";
import { isGatewayName, type GatewayName } from "../base/names.ts";
import { inboxPrefix, parseObjectKey, type RequestName } from "../protocol/object-key.ts";
import type { ListEntry } from "../store/store.ts";
import type { Waiting } from "./admit.ts";
import type { ListedCancel } from "./cancel.ts";
import type { Mailbox } from "./mailbox.ts";
import { quarantine } from "./quarantine.ts";

/** One round through the inbox: what waits, senders in turn, and the cancels that were met. */
export interface InboxPage {
  readonly waiting: readonly Waiting[];
  readonly cancels: readonly ListedCancel[];
}

/**
 * Yields what waits in rounds: of every sender at most one page, their requests in turn. Only who has more
 * than a page, and is not `skipped`, is listed in the rounds after the first, so that no sender starves
 * another and an inbox without floods costs one request. Names that no rule makes are reported once and left
 * in place.
 */
export async function* scanInbox(
  box: Mailbox,
  skipped: ReadonlySet<string> = new Set(),
): AsyncGenerator<InboxPage> {
  let listedMs = box.clock.now();
  let round = await listEverybody(box);
  yield await sortPage(box, round.entries, listedMs);
  for (let rounds = 1; rounds < limits.inboxPagesPerPeer && round.more.length > 0; rounds += 1) {
    listedMs = box.clock.now();
    const more = round.more.filter(({ sender }) => !skipped.has(sender));
    if (more.length === 0) return;
    round = await listMore(box, more);
    yield await sortPage(box, round.entries, listedMs);
  }
}

/** Where the listing of one sender's objects goes on. */
interface Cursor {
  readonly sender: string;
  readonly startAfter: string;
}

interface Round {
  readonly entries: readonly ListEntry[];
  /** Who has more than was listed. */
  readonly more: readonly Cursor[];
}

/** Where a page ends inside a sender's objects, the next one begins behind the last of them. */
async function listEverybody(box: Mailbox): Promise<Round> {
  const prefix = inboxPrefix(box.self);
  const entries: ListEntry[] = [];
  const more: Cursor[] = [];
  let startAfter: string | undefined;
  for (let pages = 0; pages < limits.inboxPagesPerRound; pages += 1) {
    const after = startAfter === undefined ? {} : { startAfter };
    const page = await box.store.list({ prefix, limit: limits.listPageKeys, ...after });
    entries.push(...page.entries);
    const last = page.entries.at(-1)?.key;
    if (!page.more || last === undefined) break;
    const sender = last.slice(prefix.length).split("/")[0] ?? "";
    // What lies under no gateway's name was reported with its first page.
    if (isGatewayName(sender)) more.push({ sender, startAfter: last });
    // "0" is the character after "/": the first name that cannot be this sender's any more.
    startAfter = `${prefix}${sender}0`;
  }
  return { entries, more };
}

async function listMore(box: Mailbox, cursors: readonly Cursor[]): Promise<Round> {
  const entries: ListEntry[] = [];
  const more: Cursor[] = [];
  for (const { sender, startAfter } of cursors) {
    const prefix = `${inboxPrefix(box.self)}${sender}/`;
    const page = await box.store.list({ prefix, limit: limits.listPageKeys, startAfter });
    entries.push(...page.entries);
    const last = page.entries.at(-1)?.key;
    if (page.more && last !== undefined) more.push({ sender, startAfter: last });
  }
  return { entries, more };
}

async function sortPage(
  box: Mailbox,
  entries: readonly ListEntry[],
  listedMs: number,
): Promise<InboxPage> {
  const requests: { readonly name: RequestName; readonly size: number }[] = [];
  const cancels: ListedCancel[] = [];
  for (const { key, size, modifiedMs } of entries) {
    const name = parseObjectKey(key);
    if (name?.kind === "request" && name.to === box.self) requests.push({ name, size });
    else if (name?.kind === "cancel" && name.to === box.self) cancels.push({ name, modifiedMs });
    else await reportUnknownName(box, key, size);
  }
  const ofRun = Map.groupBy(
    cancels.map((cancel) => cancel.name),
    ({ from, runId }) => `${from}/${runId}`,
  );
  const waiting = requests.map(({ name, size }) => {
    const beside = ofRun.get(`${name.from}/${name.runId}`) ?? [];
    return { name, size, listedMs, cancels: beside };
  });
  // Strangers cost nothing to invent: whatever lies under their names comes after all peers.
  const trust = box.trust.current();
  const { peers = [], strangers = [] } = Object.groupBy(waiting, ({ name }) =>
    trust.grantsOf(name.from) === undefined ? "strangers" : "peers",
  );
  return { waiting: [...inTurn(peers), ...inTurn(strangers)], cancels };
}

/** One of each sender, then the second of each, and so on. */
function inTurn(waiting: readonly Waiting[]): Waiting[] {
  const turns = new Map<GatewayName, number>();
  const placed = waiting.map((request) => {
    const turn = turns.get(request.name.from) ?? 0;
    turns.set(request.name.from, turn + 1);
    return { request, turn };
  });
  return placed.toSorted((a, b) => a.turn - b.turn).map(({ request }) => request);
}

async function reportUnknownName(box: Mailbox, key: string, size: number): Promise<void> {
  const error = new PosternError(
    "KEY_NAME_UNKNOWN",
    "no rule makes such a name: it is left in place, unread",
  );
  await quarantine(box, { key, from: undefined, bytes: null, size, error });
}
