import { asPosternError, errorClassOf, isErrorCode, type PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName } from "../base/names.ts";
import { printable } from "../base/printable.ts";
import { isOwnTrustCode } from "../mailbox/grants.ts";
import type { Mailbox } from "../mailbox/mailbox.ts";
import { isOfOneObject } from "../mailbox/told-apart.ts";

/** The subject of a trouble that is this gateway's own: it stands in the way of all peers alike. */
const ownSubject = "";

/** What a gateway does at once: a pass in turn, a service side by side. */
export type Part = "answering" | "asking" | "tidying";

/** What went wrong. */
export type Failure = Pick<PosternError, "code" | "message">;

/**
 * Gathers what goes wrong in one process, and what goes well, and has the state remember it. Of each subject
 * the last trouble stands,
 *
 * - a peer's until a pass in which something of that peer went well (a request of it was admitted or
 *   answered, a run of it ended, an answer of it verified) and nothing of it failed;
 * - the gateway's own until a pass that went well.
 *
 * For a service, a pass is what it does within `limits.troublesTellMs`, or until its outcome changes. A pass
 * that goes well costs one commit.
 */
export class Troubles {
  readonly #box: Mailbox;
  /** The parts that failed when they were last at work. */
  readonly #failing = new Map<Part, Failure>();
  /** What the state was last told of each subject; nothing of those that went well. */
  readonly #told = new Map<string, Failure["code"]>();
  /** When it was last told of a pass. */
  #toldMs: number | undefined;
  /** Of each peer, since the state was last told: what failed last, or null where all went well. */
  #peers = new Map<string, Failure | null>();
  /** Whether a round of answering has ended since then. */
  #answered = false;

  constructor(box: Mailbox) {
    this.#box = box;
  }

  /** Something that concerns this peer alone has failed. */
  failed(peer: GatewayName, { code, message }: Failure): void {
    this.#peers.set(peer, { code, message });
  }

  wentWell(peer: GatewayName): void {
    if (!this.#peers.has(peer)) this.#peers.set(peer, null);
  }

  /** A part of the work has come to an end, for now; without a failure it went well. */
  ended(part: Part, failure?: Failure): void {
    if (failure === undefined) this.#failing.delete(part);
    else this.#failing.set(part, failure);
    if (part === "answering") this.#answered = true;
  }

  /**
   * Has the state remember what there is: at once where the outcome has changed, else now and then. Never
   * rejects: what cannot be remembered is logged, and hides nothing.
   */
  async tell({ last = false } = {}): Promise<void> {
    const own = [...this.#failing.values()][0];
    const nowMs = this.#box.clock.now();
    if (!last && !this.#isDue(nowMs) && !this.#isNews(own)) return;
    const [peers, answered] = [this.#peers, this.#answered];
    this.#peers = new Map();
    this.#answered = false;
    if (answered) this.#toldMs = nowMs;
    const failures = new Map<string, Failure | null>(peers);
    if (own !== undefined) failures.set(ownSubject, own);
    else if (answered) failures.set(ownSubject, null);
    try {
      await this.#remember(failures, nowMs);
      if (answered) await this.#box.state.notePass({ atMs: nowMs, code: own?.code ?? null });
    } catch (thrown) {
      const { code } = asPosternError(thrown);
      this.#box.log.warn({ code }, "how the pass went cannot be remembered");
    }
  }

  #isDue(nowMs: number): boolean {
    if (!this.#answered) return false;
    if (this.#toldMs === undefined || nowMs < this.#toldMs) return true;
    return nowMs - this.#toldMs >= limits.troublesTellMs;
  }

  /** Whether a subject fails that did not, or fails in another way; or the gateway itself does no more. */
  #isNews(own: Failure | undefined): boolean {
    if (own?.code !== this.#told.get(ownSubject)) return true;
    return [...this.#peers].some(
      ([peer, failure]) => failure !== null && failure.code !== this.#told.get(peer),
    );
  }

  async #remember(failures: ReadonlyMap<string, Failure | null>, atMs: number): Promise<void> {
    const { state } = this.#box;
    for (const [subject, failure] of failures) {
      if (failure === null) this.#told.delete(subject);
      else this.#told.set(subject, failure.code);
    }
    for (const { subject } of await state.troubles())
      if (failures.get(subject) === null) await state.clearTrouble(subject);
    for (const [subject, failure] of failures)
      if (failure !== null) await state.noteTrouble(troubleOf(subject, failure, atMs));
  }
}

/** A message may quote what a peer, or whoever writes to the store, has made up. */
function troubleOf(subject: string, { code, message }: Failure, atMs: number) {
  return { subject, code, message: printable(message).slice(0, limits.maxTroubleCharacters), atMs };
}

/** Whether a failure tells of one run or one object, and not of the store, the state or this gateway. */
export function isOfOneRun(error: PosternError): boolean {
  return isOfOneObject(error) || (error.class === "trust" && !isOwnTrustCode(error.code));
}

/**
 * What somebody asks from here meets the same troubles between two passes: they are remembered when it fails.
 * Once a request has been put, what stood in its way stands there no more. Rejects as `work` does.
 */
export async function watchAsking<T>(
  box: Mailbox,
  peer: GatewayName | undefined,
  work: () => Promise<T>,
): Promise<T> {
  let done: T;
  try {
    done = await work();
  } catch (thrown) {
    await unlessItFails(box, () => noteAsking(box, peer, asPosternError(thrown)));
    throw thrown;
  }
  if (peer !== undefined) await unlessItFails(box, () => clearAsking(box, peer));
  return done;
}

/** What is wrong with the request itself is told to whoever made it, and to nobody else. */
async function noteAsking(box: Mailbox, peer: GatewayName | undefined, error: PosternError) {
  const subject = peer !== undefined && isOfOneRun(error) ? peer : ownSubject;
  if (!standsInTheWay(error.code)) return;
  await box.state.noteTrouble(troubleOf(subject, error, box.clock.now()));
}

async function clearAsking(box: Mailbox, peer: GatewayName): Promise<void> {
  for (const { subject, code } of await box.state.troubles()) {
    const concerned = subject === ownSubject || subject === peer;
    if (concerned && standsInTheWay(code)) await box.state.clearTrouble(subject);
  }
}

/** Whether a code tells of what every request to a peer, or to all of them, meets before it is sent. */
function standsInTheWay(code: string): boolean {
  if (!isErrorCode(code)) return false;
  return errorClassOf(code) === "store" || isOwnTrustCode(code) || code.startsWith("STATE_");
}

async function unlessItFails(box: Mailbox, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const { code } = asPosternError(thrown);
    box.log.warn({ code }, "what was met on the way cannot be remembered");
  }
}
