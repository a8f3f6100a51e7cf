import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName, RequestDigest, RunId } from "../base/names.ts";
import { objectKey, type RequestName } from "../protocol/object-key.ts";
import type { RunRef } from "../protocol/receipt.ts";
import { requestDigestOf } from "../protocol/run-id.ts";
import type { ListEntry } from "../store/store.ts";
import { isListedFor, readCancel } from "./cancel.ts";
import type { MaxRunOf } from "./grants.ts";
import { inboxRounds, inOrder, listRequest, type ListedRequest } from "./inbox.ts";
import type { Mailbox } from "./mailbox.ts";
import { previewAdmission, type Preview } from "./preview.ts";
import { readObject, tooLarge } from "./read-object.ts";

/** A request in the inbox, and what can be told of it. */
export interface InboxRequest extends Omit<ListedRequest, "cancels"> {
  /** Null where its bytes cannot be read, or are too many to be. */
  readonly requestDigest: RequestDigest | null;
  /** Whether a cancel for exactly these bytes is listed beside it. */
  readonly cancelListed: boolean;
  readonly preview: Preview;
}

export interface InboxLook {
  /** In the order in which a pass would take them up. */
  readonly requests: readonly InboxRequest[];
  /** Names that no rule makes, as the store has them. */
  readonly unknown: readonly ListEntry[];
  /** Whether more lies there than was looked at. */
  readonly more: boolean;
}

export interface InboxLookOptions {
  /** At most so many requests, and so many unknown names. */
  readonly limit: number;
  /** Only what lies under this sender's name. */
  readonly from?: GatewayName;
  readonly maxRunOf: MaxRunOf;
}

/**
 * Looks at what waits in the inbox and changes nothing: the store is listed and read, the state is read, and
 * what is too large is not fetched. Rejects with `TRUST_INVALID` when the own trust document cannot be read, or
 * as store and state do.
 */
export async function lookAtInbox(
  box: Mailbox,
  { limit, from, maxRunOf }: InboxLookOptions,
): Promise<InboxLook> {
  const listed: ListedRequest[] = [];
  const unknown: ListEntry[] = [];
  let unlisted = false;
  for await (const round of inboxRounds(box, from === undefined ? {} : { only: from })) {
    listed.push(...inOrder(box, round.requests));
    unknown.push(...round.unknown);
    unlisted = round.more.length > 0;
    if (listed.length >= limit) break;
  }
  const requests: InboxRequest[] = [];
  for (let done = 0; done < Math.min(limit, listed.length); done += limits.admissionsAtOnce) {
    const next = listed.slice(done, Math.min(limit, done + limits.admissionsAtOnce));
    const looked = await Promise.all(next.map((request) => lookAt(box, request, maxRunOf)));
    requests.push(...looked.filter((request) => request !== undefined));
  }
  const more = unlisted || listed.length > limit || unknown.length > limit;
  return { requests, unknown: unknown.slice(0, limit), more };
}

/**
 * Looks at one request of the inbox, by its whole name or by its run id. Rejects with `RUN_UNKNOWN` when no
 * such request lies there, `USAGE` when several senders have one under that run id, or as `lookAtInbox` does.
 */
export async function lookAtRequest(
  box: Mailbox,
  name: RequestName | RunId,
  maxRunOf: MaxRunOf,
): Promise<InboxRequest> {
  const [listed, ...others] =
    typeof name === "string" ? await findRun(box, name) : await findRequest(box, name);
  if (listed !== undefined && others.length > 0) {
    const keys = [listed, ...others].map((request) => objectKey(request.name)).join(", ");
    throw new PosternError("USAGE", `several requests lie under that run id, name one: ${keys}`);
  }
  const request = listed && (await lookAt(box, listed, maxRunOf));
  if (request !== undefined) return request;
  const runId = typeof name === "string" ? name : name.runId;
  throw new PosternError(
    "RUN_UNKNOWN",
    `no request ${runId} waits in the inbox: if it was taken up, see \`postern runs list --received\` and \`postern quarantine list\``,
  );
}

/** Peers are asked for by name, so that no flood hides theirs; strangers are met in the rounds, if at all. */
async function findRun(box: Mailbox, runId: RunId): Promise<readonly ListedRequest[]> {
  const to = box.self;
  const names = box.trust
    .current()
    .peers.map((from) => ({ kind: "request", to, from, runId }) as const);
  const ofPeers: ListedRequest[] = [];
  for (const name of names) ofPeers.push(...(await findRequest(box, name)));
  if (ofPeers.length > 0) return ofPeers;
  const found: ListedRequest[] = [];
  for await (const { requests } of inboxRounds(box)) {
    found.push(...requests.filter(({ name }) => name.runId === runId));
  }
  return found;
}

async function findRequest(box: Mailbox, name: RequestName): Promise<readonly ListedRequest[]> {
  const listed = await listRequest(box, name);
  return listed === undefined ? [] : [listed];
}

/** Undefined where it is gone meanwhile. */
async function lookAt(
  box: Mailbox,
  listed: ListedRequest,
  maxRunOf: MaxRunOf,
): Promise<InboxRequest | undefined> {
  const { cancels, ...facts } = listed;
  const unread = (error: PosternError): InboxRequest => ({
    ...facts,
    requestDigest: null,
    cancelListed: false,
    preview: {
      verified: error,
      headers: null,
      prospect: { status: "quarantined", code: error.code },
    },
  });
  if (facts.size > limits.maxEnvelopeBytes) return unread(tooLarge(facts.size));
  const got = await readObject(box.store, objectKey(facts.name));
  if (got.status === "absent") return undefined;
  if (got.status === "unreadable") return unread(got.error);

  const { from, runId } = facts.name;
  const run: RunRef = { from, runId, requestDigest: requestDigestOf(got.bytes) };
  const cancelListed = isListedFor(run, cancels);
  const cancelled = async (): Promise<boolean> => cancelListed && (await readCancel(box, run));
  return {
    ...facts,
    requestDigest: run.requestDigest,
    cancelListed,
    preview: await previewAdmission(box, run, got.bytes, { maxRunOf, cancelled }),
  };
}
