import path from "node:path";
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { ObjectKey, RequestDigest, RunId } from "../../base/names.ts";
import type { Random } from "../../base/random.ts";
import {
  digest16Of,
  framesPrefix,
  inboxPrefix,
  objectKey,
  parseObjectKey,
} from "../../protocol/object-key.ts";
import { requestDigestOf } from "../../protocol/run-id.ts";
import { openStore, parseStoreUrl } from "../../store/open.ts";
import type { Store } from "../../store/store.ts";
import type { Audit } from "./audit.ts";
import { castOf, introduce, sweep, type Cast } from "./cast.ts";
import type { Children } from "./child.ts";
import { broken, readAudit, requireProof, type DemoReport } from "./report.ts";

export interface DemoOptions {
  /** An empty folder: everything but a store given by URL lies in it. */
  readonly folder: string;
  /** A store of the user's own; a folder when absent. */
  readonly storeUrl: string | undefined;
  /** Leaves objects in a store of the user's own. */
  readonly keep: boolean;
  readonly children: Children;
  readonly clock: Clock;
  readonly random: Random;
  /** A line of the story. */
  readonly tell: (line: string) => void;
  /** The answer, as it comes. */
  readonly stream: (text: string) => void;
}

const prompt = "Why is the disk of the build machine filling up?";
const idempotencyKey = "ticket-4711";
const callTimeout = "40s";
const lookEveryMs = 25;

/**
 * Two gateways in two processes, a delegated task, a duplicate and a forgery; then a third process counts.
 * Throws what is wrong with the store, and `INTERNAL` when the numbers are not what they have to be.
 */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const { folder, storeUrl, children, clock, random, tell } = options;
  const startedMs = clock.now();
  const cast = castOf(folder, storeUrl, random);
  const { caller, callee } = cast;
  const store = await openStore(parseStoreUrl(cast.storeUrl), { ...options, create: true });
  try {
    // What is wrong with the store is found here, and told under its own code.
    await store.list({ prefix: `${caller}/`, limit: 1 });
    tell(`Two gateways, ${caller} and ${callee}, that share nothing but ${cast.storeUrl}`);
    await introduce(cast, children);
    tell(`${callee} has an agent, diagnose, and lets ${caller} ask it; nothing else is granted`);
    const request = await delegate(options, cast, store);
    tellPlaces(options, cast, request);
    const duplicates = await sendAgain(options, cast, store, request);
    const tampered = await tamper(options, cast, store, request);
    const audit = await countAll(options, cast, request);
    requireProof(audit, { duplicates, tampered });
    return {
      demo: "ok",
      store: store.capabilities.location,
      runId: request.runId,
      frames: audit.frames,
      terminal: audit.terminal,
      duplicate: { sent: 1 + duplicates, executed: audit.startsOfRequest },
      tampered: { sent: tampered, executed: audit.startsOfOthers, quarantined: audit.quarantined },
      objects: audit.objects,
      seconds: Math.round((clock.now() - startedMs) / 100) / 10,
    };
  } finally {
    if (!options.keep && storeUrl !== undefined) await sweep(store, cast);
    await store.close();
  }
}

/** The request as it lay in the store. */
interface SeenRequest {
  readonly key: ObjectKey;
  readonly runId: RunId;
  readonly digest: RequestDigest;
  readonly bytes: Uint8Array;
  readonly answer: string;
}

/** One process asks and follows, others answer: passes of the callee, until the answer is there. */
async function delegate(options: DemoOptions, cast: Cast, store: Store): Promise<SeenRequest> {
  const { children, tell, stream } = options;
  tell(`${cast.caller} asks ${cast.callee}/diagnose: ${prompt}\n`);
  const ended = new AbortController();
  const call = children
    .start(cast.callerHome, callArgs(cast, prompt), stream)
    .finally(() => ended.abort());
  // It is awaited below; until then something else may fail first.
  call.catch(() => undefined);
  const seen = await requestIn(store, cast, options.clock, ended.signal);
  while (!ended.signal.aborted) {
    await children.postern(cast.calleeHome, ["poll"]);
    await options.clock.sleep(lookEveryMs, ended.signal);
  }
  const { status, stdout, stderr } = await call;
  if (seen === undefined || status !== 0) {
    throw broken(`the call ended with ${status}: ${stderr.trim()}`);
  }
  return { ...seen, answer: stdout };
}

/** Where everything of the run lies, or lay. */
function tellPlaces({ tell }: DemoOptions, cast: Cast, { key, runId, digest }: SeenRequest): void {
  const { caller, callee } = cast;
  const frames = framesPrefix({ to: caller, from: callee, runId, digest16: digest16Of(digest) });
  tell("\nWhere it lay in the store, until it was done:");
  tell(`  the request  ${key}`);
  tell(`  the answer   ${frames}`);
  tell("Where it is kept:");
  tell(`  the receipt, so that it never runs again  ${path.join(cast.calleeHome, "state.db")}`);
  tell(`  the transcript, every envelope as signed  ${path.join(cast.callerHome, "state.db")}`);
}

function callArgs({ callee }: Cast, text: string): string[] {
  const target = `${callee}/diagnose`;
  return [
    "call",
    target,
    "--prompt",
    text,
    "--idempotency-key",
    idempotencyKey,
    "--timeout",
    callTimeout,
  ];
}

/** Looks as the owner of a bucket can: at what lies there. Undefined when the caller gave up. */
async function requestIn(
  store: Store,
  { caller, callee }: Cast,
  clock: Clock,
  gaveUp: AbortSignal,
) {
  while (!gaveUp.aborted) {
    const { entries } = await store.list({ prefix: inboxPrefix(callee, caller), limit: 1 });
    const name = parseObjectKey(entries[0]?.key ?? "");
    if (name?.kind === "request") {
      const key = objectKey(name);
      const got = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
      if (got.status === "found") {
        const { bytes } = got;
        return { key, runId: name.runId, digest: requestDigestOf(bytes), bytes };
      }
    }
    await clock.sleep(lookEveryMs, gaveUp);
  }
  return undefined;
}

/** The same key again: asked again by the caller, and the very same object again in the callee's inbox. */
async function sendAgain(
  options: DemoOptions,
  cast: Cast,
  store: Store,
  request: SeenRequest,
): Promise<number> {
  const { children, tell } = options;
  const again = await children.postern(cast.callerHome, callArgs(cast, prompt));
  if (again !== request.answer) throw broken("the same key got another answer");
  await children.postern(cast.callerHome, callArgs(cast, `${prompt} And why?`), 5);
  const created = await store.put(request.key, request.bytes);
  await children.postern(cast.calleeHome, ["poll"]);
  tell("\nThe same key again gets the same answer; another prompt under that key is refused");
  tell("The same object again in the inbox, as a lost response would bring it about");
  return created === "created" ? 1 : 0;
}

/** The same object with one letter of its prompt changed. */
async function tamper(
  options: DemoOptions,
  cast: Cast,
  store: Store,
  request: SeenRequest,
): Promise<number> {
  const bytes = Buffer.from(request.bytes);
  const at = bytes.indexOf(prompt);
  if (at < 0) throw broken("the prompt is not in the request");
  bytes.write("Who", at);
  const created = await store.put(request.key, new Uint8Array(bytes));
  await options.children.postern(cast.calleeHome, ["poll"]);
  options.tell("A forgery in the inbox: the request with one letter changed");
  return created === "created" ? 1 : 0;
}

/** Asks a process that took no part. */
async function countAll(
  { children, tell }: DemoOptions,
  cast: Cast,
  request: SeenRequest,
): Promise<Audit> {
  const script = path.join(import.meta.dirname, `audit${path.extname(import.meta.filename)}`);
  const { runId, digest, key } = request;
  const args = [cast.callerHome, cast.calleeHome, runId, digest, key, cast.journal];
  const { status, stdout, stderr } = await children.node(script, args);
  if (status !== 0) throw broken(`the numbers cannot be read: ${stderr.trim()}`);
  tell("A third process reads the numbers back from the store and from both states\n");
  return readAudit(stdout);
}
