import { join } from "node:path";
import type { GatewayName } from "../../src/base/names.ts";
import type { Asked } from "../../src/gateway/ask.ts";
import { poll } from "../../src/gateway/poll.ts";
import { sending } from "./asking.ts";
import { numberText, roundsOf, type Benchmark, type Setting } from "./benchmark.ts";
import { Callee, maxPeerRuns, maxRunsOfPass, type PassCost } from "./flood-callee.ts";
import {
  agents,
  newIdentity,
  openBenchGateway,
  type BenchGateway,
  type Identity,
} from "./gateways.ts";
import { mean, requestCells, requestColumns, type Requests } from "./requests.ts";
import { atOnce, inTurn, msCell, Series, spreadCells, spreadColumns } from "./series.ts";

/** What the requests of one peer cost the others, and the gateway. */
export const flood: Benchmark = {
  name: "flood",
  run: async (setting) => {
    const flooding = { full: 10_000, quick: 1000, least: 20 }[setting.size];
    await using opened = new AsyncDisposableStack();
    const open = async (name: string): Promise<Inbox> =>
      opened.use(await Inbox.open(setting, `flood-${name}`));
    const [idle, few, many] = [await open("idle"), await open("few"), await open("many")];
    await many.fill(flooding);
    const series = {
      idle: new Series(() => idle.pass()),
      few: new Series(async () => {
        await few.fill(maxRunsOfPass);
        return few.pass();
      }),
      many: new Series(() => many.pass()),
    };
    await inTurn(roundsOf(setting, 10), Object.values(series));

    const rows = [
      ["nothing waits", idle, series.idle],
      [`${maxRunsOfPass} requests wait`, few, series.few],
      [`${numberText(flooding)} requests wait`, many, series.many],
    ] as const;
    return {
      title: "One peer's flood",
      about: `A pass while requests of one peer wait and, after them all, a single one of another peer. Each peer is granted ${maxPeerRuns} runs at once, and a pass admits ${maxRunsOfPass} in all. Each callee is a process of its own; its peak is the most memory that it has had (resident size), and the growth is over that of the one whose inbox is empty.`,
      tables: [
        {
          columns: ["time over 8 requests'", ...spreadColumns, "ms", "peak MiB", "growth MiB"],
          rows: rows.map(([what, { peakMib }, one]) => [
            what,
            ...spreadCells(one.over(series.few)),
            msCell(one.ms),
            peakMib.toFixed(0),
            (peakMib - idle.peakMib).toFixed(0),
          ]),
        },
        {
          columns: ["requests of a pass", ...requestColumns],
          rows: rows.map(([what, inbox]) => [what, ...requestCells(inbox.requests)]),
        },
        {
          columns: ["passes until the other peer is answered", "passes"],
          rows: rows.slice(1).map(([what, inbox]) => [what, `${inbox.passesUntilAnswered ?? "-"}`]),
        },
      ],
      requests: Object.fromEntries(rows.map(([what, inbox]) => [what, inbox.requests])),
    };
  },
};

/** A callee, a peer who floods it, and another peer. */
class Inbox implements AsyncDisposable {
  readonly #callee: Callee;
  readonly #crowd: BenchGateway;
  readonly #other: BenchGateway;
  readonly #to: GatewayName;
  #asked: Asked | undefined;
  #passes = 0;
  readonly #costs: PassCost[] = [];
  /** Until the other peer's last request was answered; undefined while it waits. */
  passesUntilAnswered: number | undefined;

  private constructor(to: GatewayName, callee: Callee, crowd: BenchGateway, other: BenchGateway) {
    this.#to = to;
    this.#callee = callee;
    this.#crowd = crowd;
    this.#other = other;
  }

  static async open(setting: Setting, prefix: string): Promise<Inbox> {
    const [lab, crowd, other] = [newIdentity("lab"), newIdentity("crowd"), newIdentity("other")];
    const open = (self: Identity): Promise<BenchGateway> => {
      const folder = join(setting.folder, prefix, self.name);
      return openBenchGateway({ self, peers: [lab], store: setting.bucket.store(prefix), folder });
    };
    const callee = new Callee(setting, prefix, [lab, crowd, other]);
    return new Inbox(lab.name, callee, await open(crowd), await open(other));
  }

  /** So many requests: all of one peer but the last. */
  async fill(requests: number): Promise<void> {
    await atOnce(16, requests - 1, () => sending(this.#crowd, this.#to));
    this.#asked = await sending(this.#other, this.#to);
    this.#passes = 0;
    this.passesUntilAnswered = undefined;
  }

  /** Milliseconds of one pass of the callee. */
  async pass(): Promise<number> {
    const cost = await this.#callee.pass();
    this.#costs.push(cost);
    this.#passes += 1;
    if (await this.#isAnswered()) this.passesUntilAnswered ??= this.#passes;
    return cost.ms;
  }

  /** The requests of one pass. */
  get requests(): Requests {
    return mean(this.#costs.map(({ requests }) => requests));
  }

  /** The most memory that the callee has had. */
  get peakMib(): number {
    return (this.#costs.at(-1)?.peakBytes ?? 0) / 2 ** 20;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.#callee, this.#crowd, this.#other]) await one[Symbol.asyncDispose]();
  }

  /** Looks for the answer, as any pass of the other peer would. */
  async #isAnswered(): Promise<boolean> {
    if (this.#asked === undefined) return false;
    const { mailbox } = this.#other;
    await poll(mailbox, agents());
    const record = await mailbox.state.outboxRecord(this.#asked.record.runId);
    return record?.state === "closed";
  }
}
