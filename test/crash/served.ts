import { existsSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { parseRunId } from "../../src/base/names.ts";
import { openHome, updateConfig } from "../../src/gateway/home.ts";
import type { Started } from "../cli/support/cli.ts";
import { codesIn, Pair } from "../cli/support/pair.ts";
import { Checker } from "./end-state.ts";
import { faultsOfEnding } from "./promises.ts";
import type { Side } from "./world.ts";

const timeout = 60_000;

/** Two gateways whose services look again every second, whatever they meet. */
export class Served {
  readonly pair: Pair;
  readonly #checker: Checker;
  readonly #services: Started[] = [];
  #said = "";

  private constructor(pair: Pair, checker: Checker) {
    this.pair = pair;
    this.#checker = checker;
  }

  static async make(...where: Parameters<typeof Pair.make>): Promise<Served> {
    const pair = await Pair.make(...where);
    for (const home of [pair.caller, pair.callee]) {
      const serve = { minSeconds: 1, maxSeconds: 1 };
      updateConfig(openHome(home).paths, (config) => ({ ...config, serve }));
    }
    const [, env = {}] = where;
    return new Served(pair, new Checker(env));
  }

  async remove(): Promise<void> {
    for (const { child, ended } of this.#services) {
      child.kill("SIGKILL");
      await ended;
    }
    this.#checker[Symbol.dispose]();
    this.pair.remove();
  }

  serve(side: Side): void {
    const service = this.pair.start(this.pair[side], ["serve"]);
    service.child.stderr.on("data", (chunk) => {
      this.#said += String(chunk);
    });
    this.#services.push(service);
  }

  /** A run that its agent holds until it is released. */
  async runAtWork(): Promise<string> {
    const runId = await this.pair.send("at work", "hold");
    this.serve("callee");
    await this.pair.untilStarted(runId);
    return runId;
  }

  /** The run of a `send` that the store fails, and the codes that it says. */
  async sendKept(key: string): Promise<{ runId: string; codes: readonly string[] }> {
    const { pair } = this;
    const args = ["send", "eu-lab/echo", "--prompt", key, "--idempotency-key", key];
    const { status, stdout, stderr } = await pair.run(pair.caller, args);
    expect({ key, status }).toEqual({ key, status: 3 });
    return { runId: stdout.trim(), codes: codesIn(stderr) };
  }

  /** A service has met what stands in its way. */
  async untilServiceSays(code: string): Promise<void> {
    await expect.poll(() => this.#said, { timeout }).toContain(code);
  }

  async untilAgentIsGone(): Promise<void> {
    const pid = readFileSync(`${this.pair.journal}.pid`, "utf8");
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout }).toBe(false);
  }

  /** Each run has ended for both sides alike, and was run once. */
  async allEndOnce(runIds: readonly string[]): Promise<void> {
    const { pair } = this;
    this.serve("caller");
    for (const runId of runIds) {
      const faults = async (): Promise<readonly string[]> =>
        faultsOfEnding(await this.#checker.lookAt({ pair, runId: parseRunId(runId) }));
      await expect.poll(faults, { timeout, interval: 200 }).toEqual([]);
      expect(pair.executions(runId)).toBe(1);
    }
  }
}
