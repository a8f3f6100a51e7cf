import { join } from "node:path";
import { systemClock, type Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { silentLogger, type Logger } from "../base/log.ts";
import { systemRandom, type Random } from "../base/random.ts";
import type { Liveness, Mailbox } from "../mailbox/mailbox.ts";
import { openWorker } from "../mailbox/workers.ts";
import { openSqliteState } from "../state/sqlite.ts";
import { lazyStore } from "../store/lazy.ts";
import { logStore } from "../store/log.ts";
import { meterStore, type StoreCounts } from "../store/meter.ts";
import { openStore, parseStoreUrl, type StoreUrl, type OpenStoreOptions } from "../store/open.ts";
import { retryStore } from "../store/retry.ts";
import { agentRoutes } from "./agent-routes.ts";
import type { Routes } from "./ask.ts";
import { routesOf, type Config } from "./config.ts";
import { openHome, requireApart } from "./home.ts";
import { machineName } from "./machine.ts";
import type { ResponderOptions } from "./responder.ts";
import { TrustFile } from "./trust-file.ts";

/** One home, opened: everything that a process of this gateway works with. */
export interface Gateway extends AsyncDisposable {
  readonly home: string;
  readonly config: Config;
  readonly mailbox: Mailbox;
  readonly routes: Routes;
  /** What requests run here, and how many at once. */
  readonly responder: ResponderOptions;
  /** Requests made to the store since it was opened, every attempt counted. */
  storeRequests(): StoreCounts;
}

export interface OpenGatewayOptions {
  readonly home: string;
  /** Silent when absent. */
  readonly log?: Logger;
  /** The environment that handlers inherit from; empty when absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Whether this process will admit (`poll`, `serve`): then it holds a worker's lock until it is closed. */
  readonly admits?: boolean;
  /** Whether it only looks: then nothing is written to the store (`STORE_READ_ONLY`). */
  readonly readOnly?: boolean;
  /** The machine's own when absent. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Opens a home. The store is opened when it is first used. Throws `HOME_MISSING`, `HOME_UNSAFE`,
 * `CONFIG_INVALID`, `STORE_URL_INVALID`, `KEY_FILE_INVALID` or `STATE_*`.
 */
export async function openGateway({
  home,
  log = silentLogger,
  env = {},
  admits = false,
  readOnly = false,
  clock = systemClock,
  random = systemRandom,
}: OpenGatewayOptions): Promise<Gateway> {
  const { paths, config, signingKey } = openHome(home);
  await using undo = new AsyncDisposableStack();

  const url = parseStoreUrl(config.store);
  requireApart(paths, url);
  const metered = meterStore(storeOf(url, config, { clock, random, readOnly }));
  const store = retryStore(logStore(metered.store, log, clock), { clock, random });
  undo.defer(() => store.close());
  const state = await openSqliteState({ file: paths.state, clock, machine: machineName() });
  undo.defer(() => state.close());
  const worker = admits ? openWorker({ folder: join(paths.home, "workers"), random }) : undefined;
  undo.defer(() => worker?.close());
  if (worker !== undefined) await worker.sweep(() => state.openWorkers());

  const { gateway: self, realm } = config;
  const trust = new TrustFile({ path: paths.trust, gateway: self, realm, clock });
  const liveness = worker ?? noWorker;
  const agents = await agentRoutes(config, { home: paths.home, env, clock, log });
  const opened = undo.move();
  return {
    home: paths.home,
    config,
    mailbox: { self, realm, signingKey, store, state, trust, liveness, clock, random, log },
    routes: routesOf(config),
    responder: {
      agents,
      maxConcurrentRuns: config.maxConcurrentRuns ?? limits.defaultMaxConcurrentRuns,
    },
    storeRequests: () => metered.counts(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function storeOf(
  url: StoreUrl,
  { storeId }: Config,
  options: Omit<OpenStoreOptions, "create" | "expectedId">,
) {
  const capabilities = { driver: url.kind, location: url.location, atomicPut: "probe" } as const;
  const pinned = storeId === undefined ? {} : { expectedId: storeId };
  return lazyStore(capabilities, () => openStore(url, { ...options, ...pinned }));
}

/** For a process that admits nothing: it is nobody's worker and never asks about others. */
const noWorker: Liveness = {
  get self(): never {
    throw new PosternError(
      "INTERNAL",
      "this process was opened without a worker, and admits nothing",
    );
  },
  isGone: () => false,
};
