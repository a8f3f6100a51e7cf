/** Macros of a model, without `-D`; true for one that is only there or not. */
type Macros = Readonly<Record<string, number | true>>;

/** One exhaustive search: a model within bounds. */
export interface Search {
  readonly name: string;
  /** Of the file, without `.pml`. */
  readonly model: "owner" | "run" | "sending";
  readonly bounds: Macros;
}

/** One hole put back into a model, that a search has to find. Its name in capitals is the model's macro. */
export interface Mutation {
  readonly name: string;
  readonly search: Search;
}

const oneRequest: Search = {
  name: "one request",
  model: "run",
  bounds: { WORKERS: 2, CRASHES: 2, POWER: 1, BREAKS: 1, FOREIGN: 1 },
};
const retried: Search = {
  name: "one request, retried",
  model: "run",
  bounds: { WORKERS: 2, RETRY: true, CRASHES: 3, BREAKS: 1 },
};
const twoRequests: Search = {
  name: "two requests, one name",
  model: "run",
  bounds: { REQUESTS: 2, WORKERS: 2, CRASHES: 0, EXP1: 3, LAST: 6 },
};
const twoRequestsAndCrashes: Search = {
  name: "two requests, crashes",
  model: "run",
  bounds: { REQUESTS: 2, WORKERS: 1, CRASHES: 1, POWER: 1, EXP1: 3, LAST: 6 },
};
const followed: Search = {
  name: "one request, followed",
  model: "run",
  bounds: { WORKERS: 2, READER: true, CRASHES: 1, FOREIGN: 1 },
};
const bothFollowed: Search = {
  name: "two requests, followed",
  model: "run",
  bounds: { REQUESTS: 2, WORKERS: 1, READER: true, CRASHES: 0, EXP1: 2, LAST: 4 },
};
const recovered: Search = {
  name: "state lost or restored",
  model: "run",
  bounds: { WORKERS: 1, LOST: true, CRASHES: 2, SKEW: 2, EXP0: 3 },
};
const copied: Search = {
  name: "home copied and recovered",
  model: "owner",
  bounds: { ORIGINAL: 1, CRASHES: 1, LAST: 5 },
};
const copiedWithJunk: Search = {
  name: "home copied, junk claims",
  model: "owner",
  bounds: { ORIGINAL: 1, CRASHES: 0, JUNK: 1, LAST: 4, GENERATIONS: 6 },
};
const copiedAtWork: Search = {
  name: "home of two processes copied",
  model: "owner",
  bounds: { ORIGINAL: 2, CRASHES: 0, LAST: 3 },
};
const cloned: Search = {
  name: "machine copied",
  model: "owner",
  bounds: { ORIGINAL: 1, CLONE: true, CRASHES: 1, LAST: 5 },
};
const sent: Search = {
  name: "sent, closed and deleted",
  model: "sending",
  bounds: { CALLERS: 2, CRASHES: 2, POWER: 1, LATE: 1 },
};

/** The largest first, so that the last to end is short. */
export const searches: readonly Search[] = [
  twoRequests,
  copiedAtWork,
  copied,
  followed,
  oneRequest,
  recovered,
  twoRequestsAndCrashes,
  copiedWithJunk,
  bothFollowed,
  sent,
  cloned,
  retried,
];

/** Each is looked for within the least bounds that show it, which lie within those of the search. */
export const mutations: readonly Mutation[] = [
  mutation("receipt-after-refusal", oneRequest, { CRASHES: 0 }),
  mutation("no-request-digest", bothFollowed),
  mutation("no-second-clock-read", oneRequest, { CRASHES: 0 }),
  mutation("deletion-before-ended", oneRequest, { CRASHES: 0 }),
  mutation("receipts-found-by-expiry", twoRequestsAndCrashes, { CRASHES: 0 }),
  mutation("terminal-before-frames", followed, { WORKERS: 1 }),
  mutation("conflicts-forgotten", twoRequestsAndCrashes, { CRASHES: 0 }),
  mutation("expired-before-born", recovered, { CRASHES: 1 }),
  mutation("born-without-skew", recovered, { CRASHES: 1 }),
  mutation("collection-before-acknowledgement", oneRequest, { CRASHES: 0 }),
  mutation("takeover-ignoring-lease", oneRequest, { CRASHES: 0 }),
  mutation("takeover-of-a-live-worker", retried, { CRASHES: 0 }),
  mutation("takeover-runs-again", oneRequest, { CRASHES: 1 }),
  mutation("no-most-starts", retried, { WORKERS: 1 }),
  mutation("start-without-committed-running", oneRequest, { CRASHES: 1 }),
  mutation("published-before-durable", oneRequest, { CRASHES: 2 }),
  mutation("no-owner-generation", copied, { LAST: 4 }),
  mutation("acting-without-a-claim", copied, { LAST: 4 }),
  mutation("owner-nonce-after-put", copied, { LAST: 4 }),
  mutation("exists-taken-as-lost", copied, { LAST: 4 }),
  mutation("look-dated-at-its-end", copied, { CRASHES: 0, LAST: 4 }),
  mutation("look-never-too-old", copied, { CRASHES: 0, LAST: 4 }),
  mutation("recovered-with-old-nonces", copied, { CRASHES: 0, LAST: 4 }),
  mutation("sent-before-committed", sent),
  mutation("sent-once", sent),
  mutation("other-bytes-taken-as-lost", sent),
  mutation("frames-deleted-before-durable", sent),
];

function mutation(name: string, search: Search, within: Macros = {}): Mutation {
  return { name, search: { ...search, bounds: { ...search.bounds, ...within } } };
}

/** As Spin takes them. */
export function flagsOf({ bounds }: Search, mutated?: string): readonly string[] {
  const flags = Object.entries(bounds).map(([name, value]) =>
    value === true ? `-D${name}` : `-D${name}=${value}`,
  );
  return mutated === undefined
    ? flags
    : [...flags, `-D${mutated.toUpperCase().replaceAll("-", "_")}`];
}
