import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { systemRandom } from "../../../src/base/random.ts";
import {
  type ObjectKey,
  parseAgentName,
  parseGatewayName,
  parseRealm,
} from "../../../src/base/names.ts";
import { makeGateway } from "../../../src/cli/new-gateway.ts";
import { updateConfig, updateTrust, type Home } from "../../../src/gateway/home.ts";
import { addPeer, type Granting } from "../../../src/trust/edit.ts";
import { objectKey, parseObjectKey } from "../../../src/protocol/object-key.ts";
import { openStore, parseStoreUrl } from "../../../src/store/open.ts";
import type { Store } from "../../../src/store/store.ts";
import { User, type CliOptions, type Ended, type Started } from "./cli.ts";

const agentScript = path.join(import.meta.dirname, "agent-child.ts");

type Environment = Readonly<Record<string, string>>;
type StoreUrlIn = (folder: string) => string;

/** Two gateways with homes of their own: `support` asks, `eu-lab` runs the agents `echo` and `spare`. */
export class Pair {
  readonly user: User;
  readonly storeUrl: string;
  readonly caller: string;
  readonly callee: string;
  readonly journal: string;

  private constructor(user: User, storeUrl: string) {
    this.user = user;
    this.storeUrl = storeUrl;
    this.caller = path.join(user.folder, "support");
    this.callee = path.join(user.folder, "eu-lab");
    this.journal = path.join(user.folder, "journal");
  }

  /** By commands alone. `storeUrl` is made from the user's folder where a store lies in one. */
  static async byCommands(at: StoreUrlIn, env: Environment = {}): Promise<Pair> {
    const pair = Pair.#unmade(at, env);
    const init = (home: string, name: string): Promise<string> =>
      pair.succeed(home, ["init", "--gateway", name, "--store", pair.storeUrl]);
    await Promise.all([init(pair.caller, "support"), init(pair.callee, "eu-lab")]);
    const exec = pair.#agent.map((word) => `'${word}'`).join(" ");
    const [callerCard, calleeCard] = await Promise.all([
      pair.succeed(pair.caller, ["card", "export"]),
      pair.succeed(pair.callee, ["card", "export"]),
      pair.succeed(pair.callee, ["agents", "add", "echo", "--exec", exec]),
    ]);
    const granting = ["--agent", "echo", "--tool", "usage"];
    await Promise.all([
      pair.succeed(pair.callee, ["peers", "add", "-", ...granting, "--yes"], { stdin: callerCard }),
      pair.succeed(pair.caller, ["peers", "add", "-", "--yes"], { stdin: calleeCard }),
      pair.succeed(pair.callee, ["agents", "add", "spare", "--exec", exec]),
    ]);
    return pair;
  }

  /** The same, faster, for tests of what comes afterwards. */
  static async make(at: StoreUrlIn, env: Environment = {}): Promise<Pair> {
    const pair = Pair.#unmade(at, env);
    const { storeUrl } = pair;
    const realm = parseRealm("default");
    const make = (home: string, name: string): Promise<Home> =>
      makeGateway({ home, gateway: parseGatewayName(name), realm, storeUrl });
    const caller = await make(pair.caller, "support");
    const callee = await make(pair.callee, "eu-lab");
    const echo = parseAgentName("echo");
    trust(caller, callee, {});
    trust(callee, caller, { agents: [echo], tools: ["usage"] });
    const agent = { exec: [...pair.#agent] };
    updateConfig(callee.paths, (config) => ({ ...config, agents: { echo: agent, spare: agent } }));
    return pair;
  }

  static #unmade(at: StoreUrlIn, env: Environment): Pair {
    const user = new User(env);
    const pair = new Pair(user, at(user.folder));
    writeFileSync(pair.journal, "");
    return pair;
  }

  get #agent(): readonly string[] {
    return [process.execPath, agentScript, this.journal];
  }

  remove(): void {
    this.user.remove();
  }

  start(home: string, args: readonly string[], options?: CliOptions): Started {
    return this.user.start([...args, "--home", home], options);
  }

  run(home: string, args: readonly string[], options?: CliOptions): Promise<Ended> {
    return this.start(home, args, options).ended;
  }

  /** What a command that has to succeed printed. */
  async succeed(home: string, args: readonly string[], options?: CliOptions): Promise<string> {
    const { status, stdout, stderr } = await this.run(home, args, options);
    expect(`${status} ${stderr}`, args.join(" ")).toMatch(/^0 /);
    return stdout;
  }

  /** The same as data. */
  async json(home: string, args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.succeed(home, [...args, "--json"]));
  }

  /** Sends a request under a key and returns its runId. */
  async send(key: string, prompt = key): Promise<string> {
    const args = ["send", "eu-lab/echo", "--prompt", prompt, "--idempotency-key", key];
    return (await this.succeed(this.caller, args)).trim();
  }

  poll(home = this.callee, args: readonly string[] = []): Promise<Ended> {
    return this.run(home, ["poll", ...args]);
  }

  /** How often the agent really ran for a run. */
  executions(runId: string): number {
    return readFileSync(this.journal, "utf8")
      .split("\n")
      .filter((line) => line === runId).length;
  }

  async untilStarted(runId: string): Promise<void> {
    for (let tries = 0; tries < 1000 && this.executions(runId) === 0; tries += 1) await delay(20);
  }

  /** Lets the agents that hold go on; `hold` makes later ones hold again. */
  release(): void {
    writeFileSync(`${this.journal}.release`, "");
  }

  hold(): void {
    rmSync(`${this.journal}.release`, { force: true });
    expect(existsSync(`${this.journal}.release`)).toBe(false);
  }

  /** The store as somebody sees it who may write there. */
  async withStore<T>(use: (store: Store) => Promise<T>): Promise<T> {
    const store = await openStore(parseStoreUrl(this.storeUrl), {
      clock: systemClock,
      random: systemRandom,
    });
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }
}

/** What exchanging cards comes to. */
function trust(home: Home, peer: Home, granting: Granting): void {
  const { gateway, realm } = peer.config;
  const keys = [peer.signingKey.publicKey];
  updateTrust(home.paths, (before) =>
    addPeer(before, { gateway, realm, keys }, granting, systemClock.now()),
  );
}

export function requestKey(runId: string, from = "support"): ObjectKey {
  const name = parseObjectKey(`eu-lab/inbox/${from}/${runId}`);
  if (name === undefined) throw new Error(`${runId} is no run id`);
  return objectKey(name);
}

/** The codes on stderr, in order. */
export function codesIn(stderr: string): string[] {
  return [...stderr.matchAll(/^postern: ([A-Z_]+):/gm)].map(([, code]) => code ?? "");
}
