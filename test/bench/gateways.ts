import { EventEmitter } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { toBase64Url } from "../../src/base/bytes.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import {
  parseAgentName,
  parseGatewayName,
  parseRealm,
  type GatewayName,
} from "../../src/base/names.ts";
import { systemRandom, type Random } from "../../src/base/random.ts";
import type { ResponderOptions } from "../../src/gateway/responder.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { ensureOwner } from "../../src/mailbox/owner.ts";
import { openWorker } from "../../src/mailbox/workers.ts";
import { parseObjectKey, type ObjectName } from "../../src/protocol/object-key.ts";
import { signingKeyFromSeed, type SigningKey } from "../../src/protocol/keys.ts";
import { openMemoryState } from "../../src/state/memory.ts";
import type { State } from "../../src/state/state.ts";
import { createSqliteState, openSqliteState } from "../../src/state/sqlite.ts";
import { aroundStore, type StoreCall } from "../../src/store/around.ts";
import { logStore } from "../../src/store/log.ts";
import { meterStore } from "../../src/store/meter.ts";
import { retryStore } from "../../src/store/retry.ts";
import type { Store } from "../../src/store/store.ts";
import { checkTrustDocument } from "../../src/trust/document.ts";
import { makeTrust } from "../../src/trust/trust.ts";
import { PatientClock } from "../support/patient-clock.ts";
import type { Setting } from "./benchmark.ts";
import { requestsOf, type Requests } from "./requests.ts";

const realm = parseRealm("bench");
const machine = "bench";
export const agent = parseAgentName("echo");

/** What only one pass of many does, no pass does: all are alike. */
const unremarkable: Random = { bytes: systemRandom.bytes, fraction: () => 0.5 };

/** A gateway's name and the secret behind its key. */
export interface Identity {
  readonly name: GatewayName;
  readonly seed: Uint8Array;
}

export function newIdentity(name: string): Identity {
  return { name: parseGatewayName(name), seed: systemRandom.bytes(32) };
}

export interface GatewayOptions {
  readonly self: Identity;
  readonly peers: readonly Identity[];
  /** Runs at once of each peer; without it there is no bound that is met. */
  readonly maxPeerRuns?: number;
  readonly store: Store;
  /** Where its state will be. */
  readonly folder: string;
  /** Whether its state is not kept in a file, but in memory alone. */
  readonly forgets?: boolean;
  /** Writes what the state is to hold, into its file and before it is opened. */
  readonly fill?: (file: string) => void;
  /** Its state was made before, by another process. */
  readonly stands?: boolean;
  readonly clock?: Clock;
  /** Without it, what only one pass of many does is done by none. */
  readonly random?: Random;
}

/** A real mailbox, wired as `openGateway` does it, but for the trust document, which is not read from a file. */
export interface BenchGateway extends AsyncDisposable {
  readonly mailbox: Mailbox;
  /** Tells of each object the moment the store has done something to it: `put request`, `delete frames`. */
  readonly done: EventEmitter<
    Record<`${StoreCall["operation"]} ${ObjectName["kind"]}`, [ObjectName]>
  >;
  /** So far, every attempt counted. */
  requests(): Requests;
}

export async function openBenchGateway({
  self,
  peers,
  maxPeerRuns = 1_000_000,
  store: driver,
  folder,
  forgets = false,
  fill,
  stands = false,
  clock = systemClock,
  random = unremarkable,
}: GatewayOptions): Promise<BenchGateway> {
  await mkdir(folder, { recursive: true });
  const metered = meterStore(driver);
  const retried = retryStore(logStore(metered.store, silentLogger, clock), { clock, random });
  const file = join(folder, "state.db");
  const state = forgets
    ? openMemoryState({ clock })
    : stands
      ? await openSqliteState({ file, clock, machine })
      : await newState({ file, clock }, fill);
  const worker = openWorker({ folder: join(folder, "workers"), random });
  const trust = makeTrust(checkTrustDocument(trustDocument(self, peers, maxPeerRuns)));
  const done: BenchGateway["done"] = new EventEmitter();
  const mailbox: Mailbox = {
    self: self.name,
    realm,
    signingKey: keyOf(self),
    store: announcing(retried, done),
    state,
    trust: { current: () => trust },
    liveness: worker,
    clock,
    random,
    log: silentLogger,
  };
  // Done once an hour, by whatever is first: it would be counted against that.
  await ensureOwner(mailbox);
  return {
    done,
    mailbox,
    requests: () => requestsOf(metered.counts()),
    [Symbol.asyncDispose]: async () => {
      worker.close();
      await state.close();
      await driver.close();
    },
  };
}

async function newState(
  place: { readonly file: string; readonly clock: Clock },
  fill: GatewayOptions["fill"],
): Promise<State> {
  const options = { ...place, machine };
  const state = await createSqliteState(options);
  if (fill === undefined) return state;
  await state.close();
  fill(options.file);
  return openSqliteState(options);
}

export interface Pair extends AsyncDisposable {
  readonly caller: BenchGateway;
  readonly callee: BenchGateway;
}

export interface PairOptions extends Pick<GatewayOptions, "forgets"> {
  /** Without it, one under which no run outlasts the time between two looks, where it would cost one look more. */
  readonly clock?: Clock;
  /** For each of them. */
  readonly random?: () => Random;
  /** Writes what the state of one is to hold of its dealings with the other. */
  readonly fillCaller?: (file: string, callee: GatewayName) => void;
  readonly fillCallee?: (file: string, caller: GatewayName) => void;
}

/** Two gateways that trust each other, in a folder and below a prefix of that name. */
export async function openPair(
  { bucket, folder }: Setting,
  name: string,
  options: PairOptions = {},
): Promise<Pair> {
  const { forgets = false, clock = new PatientClock(), random = () => unremarkable } = options;
  const [hq, lab] = [newIdentity("hq"), newIdentity("lab")];
  const open = (self: Identity, peer: Identity, fill: PairOptions["fillCaller"]) =>
    openBenchGateway({
      self,
      peers: [peer],
      store: bucket.store(name),
      folder: join(folder, name, self.name),
      forgets,
      fill: (file) => fill?.(file, peer.name),
      clock,
      random: random(),
    });
  await using opened = new AsyncDisposableStack();
  const caller = opened.use(await open(hq, lab, options.fillCaller));
  const callee = opened.use(await open(lab, hq, options.fillCallee));
  const pair = opened.move();
  return { caller, callee, [Symbol.asyncDispose]: () => pair.disposeAsync() };
}

/** Says its prompt back, at once. */
const echo: Handler = {
  run: ({ request: { body } }) =>
    Promise.resolve(body.kind === "prompt" ? { result: body.prompt.text } : {}),
};

/** What runs at a callee. */
export function agents(handler: Handler = echo): ResponderOptions {
  const route = { handler, maxRunMs: 60_000, onCrash: "report" } as const;
  return { agents: new Map([[agent, route]]), maxConcurrentRuns: 64 };
}

function keyOf({ seed }: Identity): SigningKey {
  return signingKeyFromSeed(seed);
}

function trustDocument(self: Identity, peers: readonly Identity[], maxConcurrentRuns: number) {
  const grants = {
    kinds: ["prompt"],
    agents: [agent],
    maxConcurrentRuns,
    maxRequestsPerMinute: 1_000_000_000,
  };
  const entries = peers.map((peer) => {
    const publicKey = toBase64Url(keyOf(peer).publicKey.bytes);
    return [peer.name, { keys: [{ publicKey, use: "gateway" }], grants }];
  });
  return {
    v: 1,
    gateway: self.name,
    realm,
    version: 1,
    expires: "2099-01-01T00:00:00Z",
    peers: Object.fromEntries(entries),
  };
}

function announcing(store: Store, done: BenchGateway["done"]): Store {
  return aroundStore(store, async ({ operation, name }, run) => {
    const result = await run();
    const object = operation === "list" ? undefined : parseObjectKey(name);
    if (object !== undefined) done.emit(`${operation} ${object.kind}`, object);
    return result;
  });
}
