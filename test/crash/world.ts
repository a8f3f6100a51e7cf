import { readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { parseGatewayName, parseRealm, type RunId } from "../../src/base/names.ts";
import { systemRandom, type Random } from "../../src/base/random.ts";
import { runGc, runPass } from "../../src/gateway/at-work.ts";
import { cancel, send } from "../../src/gateway/client.ts";
import { openGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { openHome, updateConfig } from "../../src/gateway/home.ts";
import type { OnCrash } from "../../src/mailbox/take-over.ts";
import { runIdOf } from "../../src/protocol/run-id.ts";
import { Pair } from "../cli/support/pair.ts";
import { parseTrace, type Kill, type Note, type Plan } from "./plan.ts";

/** Where the gateways of a world meet. */
export interface Meeting {
  readonly isFolder: boolean;
  /** A store that nobody has used yet, given a folder that nobody has used yet. */
  readonly storeUrl: (folder: string) => string;
  readonly env: Readonly<Record<string, string>>;
}

export type Side = "caller" | "callee";

/** One process of the program, which may have been killed. */
export interface Life {
  readonly killed: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly notes: readonly Note[];
}

const preload = pathToFileURL(path.join(import.meta.dirname, "kill-at-child.ts")).href;
const compileCache = path.join(os.tmpdir(), "postern-cli-cache", "crash");

export interface Asked {
  readonly target: string;
  readonly prompt: string;
  readonly idempotencyKey: string;
}

/** Answered in two pieces that fall into different windows of frames. */
export const plain: Asked = { target: "eu-lab/echo", prompt: "go", idempotencyKey: "k1" };
/** The answer fills an envelope of frames before it ends. */
export const atLength: Asked = { ...plain, prompt: "at length" };
/** Who is killed at its first frames is surely killed at work: in the first attempt, or in each. */
export const slowAtFirst: Asked = { ...plain, prompt: "slow at first" };
export const slow: Asked = { ...plain, prompt: "slow" };

/** Whatever it says names its process: no two attempts come to the same terminal. */
const agent = `
  read -r request
  echo "$POSTERN_RUN_ID $request" >> "$1"
  case "$request" in
  *"at length"*) echo $$; head -c 300000 /dev/zero | tr '\\0' x; exit ;;
  *'"attempt":1,'*"slow at first"* | *'"slow"'*) pause=5 ;;
  *) pause=0.4 ;;
  esac
  echo "begun $$"
  sleep "$pause"
  echo done`;

/** Chance is on the side of doing at once what is done now and then. */
const noChance: Random = { ...systemRandom, fraction: () => 0 };

/** Two gateways that have never worked before, and the run that the one asks of the other. */
export class World {
  readonly pair: Pair;
  readonly isFolder: boolean;
  readonly runId = runIdFor(plain);
  /** The processes that may have been killed, in order. */
  readonly lives: Life[] = [];

  private constructor(pair: Pair, { isFolder }: Meeting) {
    this.pair = pair;
    this.isFolder = isFolder;
  }

  static async make(meeting: Meeting, onCrash: OnCrash): Promise<World> {
    const pair = await Pair.make(meeting.storeUrl, meeting.env);
    updateConfig(openHome(pair.callee).paths, (config) => ({
      ...config,
      agents: { echo: { exec: ["sh", "-c", agent, "sh", pair.journal], onCrash } },
    }));
    return new World(pair, meeting);
  }

  remove(): void {
    this.pair.remove();
  }

  /** The words of the command that asks. */
  get asking(): readonly string[] {
    const { target, prompt, idempotencyKey } = plain;
    return [target, "--prompt", prompt, "--idempotency-key", idempotencyKey];
  }

  /**
   * A process of the program that dies at an operation, or lives to its end; one that has no end by itself is told to
   * stop once an operation has taken effect.
   */
  async live(
    side: Side,
    args: readonly string[],
    at: Kill | null,
    stopAfter?: string,
  ): Promise<Life> {
    const { pair } = this;
    const home = pair[side];
    const trace = path.join(pair.user.folder, `trace-${this.lives.length}`);
    writeFileSync(trace, "");
    const folder = this.isFolder ? fileURLToPath(pair.storeUrl) : null;
    const plan: Plan = { trace, home, folder, at };
    const env = {
      POSTERN_KILL: JSON.stringify(plan),
      NODE_OPTIONS: `--import=${preload}`,
      NODE_COMPILE_CACHE: compileCache,
    };
    const { child, ended } = pair.start(home, args, { env });
    const notesNow = (): readonly Note[] => parseTrace(readFileSync(trace, "utf8"));
    const watch = setInterval(() => {
      if (!notesNow().some(({ what, name }) => what === "done" && name === stopAfter)) return;
      clearInterval(watch);
      child.kill("SIGTERM");
    }, 100);
    const { signal, stdout, stderr } = await ended;
    clearInterval(watch);
    const notes = notesNow();
    const life: Life = { killed: signal === "SIGKILL", stdout, stderr, notes };
    this.lives.push(life);
    return life;
  }

  /** What `send` does, in this process. */
  async ask(asked = plain): Promise<void> {
    await using gateway = await this.#open("caller");
    await send(gateway, asked);
  }

  /** The same a while later: what is signed by then is never what was signed before. */
  async askAgain(): Promise<void> {
    const clock = { ...systemClock, now: () => systemClock.now() + 2000 };
    await using gateway = await this.#open("caller", clock);
    await send(gateway, plain);
  }

  /** What `runs cancel` does, in this process. */
  async cancel(): Promise<void> {
    await using gateway = await this.#open("caller");
    await cancel(gateway, this.runId);
  }

  /** What `poll` does, in this process. Throws the first of its problems. */
  async pass(side: Side): Promise<void> {
    await using gateway = await this.#open(side);
    const { problems } = await runPass(gateway);
    const [problem] = problems;
    if (problem !== undefined) throw problem;
  }

  /** What `gc` does, in this process. */
  async collect(side: Side): Promise<void> {
    await using gateway = await this.#open(side);
    const { problem } = await runGc(gateway);
    if (problem !== null) throw problem;
  }

  /** The requests that the agent was started with. */
  get started(): readonly string[] {
    const lines = readFileSync(this.pair.journal, "utf8").split("\n");
    return lines.filter((line) => line.startsWith(`${this.runId} `));
  }

  #open(side: Side, clock = systemClock): Promise<Gateway> {
    const home = this.pair[side];
    return openGateway({ home, env: process.env, admits: true, random: noChance, clock });
  }
}

export function runIdFor({ idempotencyKey }: Asked): RunId {
  return runIdOf({
    realm: parseRealm("default"),
    caller: parseGatewayName("support"),
    tenant: undefined,
    callee: parseGatewayName("eu-lab"),
    idempotencyKey,
  });
}
