import { toBase64Url } from "../../src/base/bytes.ts";
import { asPosternError, PosternError, type ErrorCode } from "../../src/base/errors.ts";
import {
  isWorkerId,
  parseAgentName,
  parseGatewayName,
  parseRealm,
  type GatewayName,
  type ObjectKey,
  type WorkerId,
} from "../../src/base/names.ts";
import { ask, deliver, type Ask } from "../../src/gateway/ask.ts";
import { poll, type PollOptions, type PollReport } from "../../src/gateway/poll.ts";
import type { AgentRoute } from "../../src/gateway/starter.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { follow, type Followed } from "../../src/mailbox/follow.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import { newNonce, type Mailbox } from "../../src/mailbox/mailbox.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import { signingKeyFromSeed, type SigningKey } from "../../src/protocol/keys.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import { MemoryDisk, openMemoryState } from "../../src/state/memory.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { aroundStore, type StoreCall } from "../../src/store/around.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { checkTrustDocument } from "../../src/trust/document.ts";
import { makeTrust } from "../../src/trust/trust.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { SteppedClock } from "./stepped-clock.ts";

export const realm = parseRealm("test");
export const agent = parseAgentName("work");

/** The most common grants: prompts to the one agent that is there. */
export const plainGrants = { kinds: ["prompt"], agents: ["work"] };

/** What goes wrong with a side's call to the store: thrown before it takes effect, or after. */
export type Trouble = (
  call: StoreCall,
) => { when: "before" | "after"; code: ErrorCode } | undefined;

/** One gateway of a test, with what outlives its processes. */
export class Side {
  readonly name: GatewayName;
  readonly clock: SteppedClock;
  readonly disk: MemoryDisk;
  signingKey: SigningKey;
  /** What its trust document says; read anew for each decision. */
  peers: Record<string, unknown> = {};
  trustExpires = "2099-01-01T00:00:00Z";
  trustVersion = 1;
  /** Thrown instead of a trust document. */
  trustFailure: PosternError | undefined;
  /** Its calls to the store, as `put request` or `list inbox`, in order. */
  readonly calls: string[] = [];
  /** What it was told to log as a warning or worse: the code, or the message where there is none. */
  readonly reports: string[] = [];
  trouble: Trouble = () => undefined;
  readonly #store: Store;
  readonly #dead = new Set<WorkerId>();
  readonly #random: SeededRandom;

  constructor(name: string, seed: number, clock: SteppedClock, store: MemoryStore) {
    this.name = parseGatewayName(name);
    this.clock = clock;
    this.disk = new MemoryDisk({ clock });
    this.#random = new SeededRandom(seed);
    this.signingKey = signingKeyFromSeed(this.#random.bytes(32));
    this.#store = aroundStore(store, async (call, run) => {
      this.calls.push(`${call.operation} ${kindOf(call)}`);
      const trouble = this.trouble(call);
      if (trouble?.when === "before") throw new PosternError(trouble.code, "made up by a test");
      const result = await run();
      if (trouble?.when === "after") throw new PosternError(trouble.code, "made up by a test");
      return result;
    });
  }

  /** A process of this gateway. */
  process(): Mailbox {
    const worker = newNonce(this.#random);
    if (!isWorkerId(worker)) throw new Error("a nonce is no worker id");
    const report = (fields: object, message: string): void => {
      this.reports.push("code" in fields ? String(fields.code) : message);
    };
    const nothing = (): void => undefined;
    return {
      self: this.name,
      realm,
      signingKey: this.signingKey,
      store: this.#store,
      state: openMemoryState({ clock: this.clock, disk: this.disk }),
      trust: { current: () => this.#trust() },
      liveness: { self: worker, isGone: (other) => this.#dead.has(other) },
      clock: this.clock,
      random: this.#random.fork(),
      log: { debug: nothing, info: nothing, warn: report, error: report },
    };
  }

  /** The process is gone, as the others can see; what it still awaits is its own affair. */
  kill(box: Mailbox): void {
    this.#dead.add(box.liveness.self);
  }

  trusts(peer: Side, grants: object = plainGrants, key: object = {}): void {
    const publicKey = toBase64Url(peer.signingKey.publicKey.bytes);
    this.peers[peer.name] = { keys: [{ publicKey, use: "gateway", ...key }], grants };
  }

  get receipts(): readonly Receipt[] {
    return [...this.disk.content.receipts.values()];
  }

  get onlyReceipt(): Receipt {
    const [receipt, ...more] = this.receipts;
    if (receipt === undefined || more.length > 0) throw new Error("not exactly one receipt");
    return receipt;
  }

  get outbox(): readonly OutboxRecord[] {
    return [...this.disk.content.outbox.values()].map(({ record }) => record);
  }

  get quarantined(): readonly { readonly code: string; readonly kept: boolean }[] {
    return [...this.disk.content.quarantine.values()].map(({ code, bytes }) => ({
      code,
      kept: bytes !== null,
    }));
  }

  #trust() {
    if (this.trustFailure !== undefined) throw this.trustFailure;
    const { name: gateway, trustVersion: version, trustExpires: expires, peers } = this;
    return makeTrust(checkTrustDocument({ v: 1, gateway, realm, version, expires, peers }));
  }
}

export interface TwoGateways {
  readonly clock: SteppedClock;
  readonly store: MemoryStore;
  readonly asker: Side;
  readonly doer: Side;
  /** Commits and puts one prompt; the key is `k1` unless told. */
  readonly asks: (box: Mailbox, text: string, more?: Partial<Ask>) => Promise<OutboxRecord>;
  readonly keys: (prefix: string) => Promise<readonly ObjectKey[]>;
}

/** An asker and a doer who trust each other, with a bucket between them. */
export function twoGateways(): TwoGateways {
  const clock = new SteppedClock();
  const store = new MemoryStore(clock);
  const asker = new Side("asker", 1, clock, store);
  const doer = new Side("doer", 2, clock, store);
  asker.trusts(doer);
  doer.trusts(asker);
  return {
    clock,
    store,
    asker,
    doer,
    asks: async (box, text, more = {}) => {
      const body = { kind: "prompt", prompt: { text } } as const;
      const request = { target: "doer/work", idempotencyKey: "k1", body, ...more };
      const asked = await ask(box, new Map(), request);
      await deliver(box, asked);
      return asked.record;
    },
    keys: async (prefix) => {
      const { entries } = await store.list({ prefix, limit: 1000 });
      return entries.map(({ key }) => asKey(key));
    },
  };
}

/** A handler that says `texts` one by one and answers `done`. */
export function sayer(...texts: readonly string[]): Handler {
  return {
    run: async (_work, emit) => {
      for (const text of texts) await emit({ event: "textDelta", payload: { text } });
      return { result: "done" };
    },
  };
}

/** A handler that works until it is told to stop, or until `finish` is called. */
export function hanger() {
  let starts = 0;
  let finish = (): void => undefined;
  const handler: Handler = {
    run: (_work, _emit, signal) => {
      starts += 1;
      return new Promise((resolve) => {
        finish = () => resolve({ result: "finished" });
        if (signal.aborted) finish();
        signal.addEventListener("abort", finish);
      });
    },
  };
  return { handler, starts: () => starts, finish: () => finish() };
}

export function routes(handler: Handler, more: Partial<AgentRoute> = {}) {
  const route: AgentRoute = { handler, maxRunMs: 600_000, onCrash: "report", ...more };
  return { agents: new Map([[agent, route]]), maxConcurrentRuns: 4 };
}

/** One whole pass of a process. */
export function pass(
  clock: SteppedClock,
  box: Mailbox,
  handler: Handler = sayer(),
  more: Partial<PollOptions> = {},
): Promise<PollReport> {
  return clock.until(poll(box, { ...routes(handler), ...more }));
}

export interface Read {
  readonly frames: readonly PlacedFrame[];
  readonly followed: Followed;
  readonly text: string;
}

/** Everything that one follower is told, to the end of its following. */
export async function readAll(
  clock: SteppedClock,
  box: Mailbox,
  record: Pick<OutboxRecord, "runId">,
  options: { readonly once?: boolean; readonly signal?: AbortSignal } = {},
): Promise<Read> {
  const frames: PlacedFrame[] = [];
  const reading = follow(box, record.runId, options);
  for (;;) {
    const step = await clock.until(reading.next(), 48 * 3_600_000);
    if (step.done === true) {
      const texts = frames.map((frame) => (frame.event === "textDelta" ? frame.payload.text : ""));
      return { frames, followed: step.value, text: texts.join("") };
    }
    frames.push(step.value);
  }
}

export async function bytesAt(store: Store, key: ObjectKey): Promise<Uint8Array | undefined> {
  const got = await store.get(key, { maxBytes: 2 ** 22 });
  return got.status === "found" ? got.bytes : undefined;
}

/** The code that `promise` is rejected with, driven by the clock; `fulfilled` where it is not. */
export async function codeOf(clock: SteppedClock, promise: Promise<unknown>): Promise<string> {
  try {
    await clock.until(promise);
    return "fulfilled";
  } catch (thrown) {
    return asPosternError(thrown).code;
  }
}

function kindOf({ operation, name }: StoreCall): string {
  if (operation === "list") return name.split("/")[1] ?? name;
  return parseObjectKey(name)?.kind ?? name;
}

function asKey(key: string): ObjectKey {
  if (!isKey(key)) throw new Error(`${key} is no key`);
  return key;
}

function isKey(key: string): key is ObjectKey {
  return parseObjectKey(key) !== undefined;
}
