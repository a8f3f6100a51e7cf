import { limits } from "../../src/base/limits.ts";
import { poll } from "../../src/gateway/poll.ts";
import { answered, requireSuccess, sending } from "./asking.ts";
import { numberText, roundsOf, type Benchmark, type Setting } from "./benchmark.ts";
import { fillAsked, fillReceived, type FinishedRuns } from "./finished-runs.ts";
import { agents, openPair, type BenchGateway, type Pair } from "./gateways.ts";
import { mean, requestCells, requestColumns, since, type Requests } from "./requests.ts";
import { inTurn, msCell, Series, spreadCells, spreadColumns, timed } from "./series.ts";

/** What a pass costs when much is remembered. */
export const retained: Benchmark = {
  name: "retained",
  run: async (setting) => {
    await using opened = new AsyncDisposableStack();
    const open = async (name: string, finished: FinishedRuns): Promise<Passes> =>
      passesOf(opened.use(await openFilled(setting, name, finished)));
    const empty = await open("nothing", { runs: 0, ttlMs: 0 });
    const filled = new Map<string, Passes>();
    for (const finished of memories[setting.size]) {
      const name = nameOf(finished);
      filled.set(name, await open(name, finished));
    }

    const all = [empty, ...filled.values()].flatMap((passes) => Object.values(passes));
    await inTurn(
      roundsOf(setting, 50),
      all.map(({ series }) => series),
    );
    const compared = [...filled].flatMap(([memory, passes]) =>
      passNames.map((name) => ({
        what: `${name}, ${memory}`,
        pass: passes[name],
        beside: empty[name],
      })),
    );
    return {
      title: "A pass over a long memory",
      about:
        "One pass (`postern poll` without the start of its process) with so many finished runs retained in its state, each with about 1 KiB of request and of answer (received ones at the callee, asked ones at the caller), beside a pass of a gateway that remembers nothing. Runs are kept for a week, or for as long as their requests could have lived, which is two weeks at most.",
      tables: [
        {
          columns: ["time over an empty state's", ...spreadColumns, "ms", "empty ms"],
          rows: compared.map(({ what, pass, beside }) => [
            what,
            ...spreadCells(pass.series.over(beside.series)),
            msCell(pass.series.ms),
            msCell(beside.series.ms),
          ]),
        },
        {
          columns: ["requests of a pass", ...requestColumns],
          rows: compared.map(({ what, pass }) => [what, ...requestCells(pass.requests)]),
        },
      ],
      requests: Object.fromEntries(compared.map(({ what, pass }) => [what, pass.requests])),
    };
  },
};

const { defaultTtlMs, maxTtlMs } = limits;
const memories: Readonly<Record<Setting["size"], readonly FinishedRuns[]>> = {
  full: [
    { runs: 1000, ttlMs: defaultTtlMs },
    { runs: 100_000, ttlMs: defaultTtlMs },
    { runs: 100_000, ttlMs: maxTtlMs },
  ],
  quick: [
    { runs: 1000, ttlMs: defaultTtlMs },
    { runs: 1000, ttlMs: maxTtlMs },
  ],
  least: [{ runs: 10, ttlMs: maxTtlMs }],
};

function nameOf({ runs, ttlMs }: FinishedRuns): string {
  return `${numberText(runs)} for ${ttlMs === maxTtlMs ? "two weeks" : "a week"}`;
}

const passNames = [
  "callee idle",
  "callee answering one run",
  "caller idle",
  "caller closing one run",
] as const;
type Passes = Readonly<Record<(typeof passNames)[number], Pass>>;

/** The passes of a pair that are measured. */
function passesOf(pair: Pair): Passes {
  const { caller, callee } = pair;
  const nothing = async (): Promise<void> => undefined;
  return {
    "callee idle": new Pass(callee, async () => nothing),
    "callee answering one run": new Pass(callee, async () => {
      const asked = await sending(caller, callee.mailbox.self);
      return async () => requireSuccess(await answered(caller, asked));
    }),
    "caller idle": new Pass(caller, async () => nothing),
    "caller closing one run": new Pass(caller, async () => {
      const { record } = await sending(caller, callee.mailbox.self);
      await poll(callee.mailbox, agents());
      return async () => {
        const closed = await caller.mailbox.state.outboxRecord(record.runId);
        if (closed?.state !== "closed") throw new Error("a pass did not close an answered run");
      };
    }),
  };
}

class Pass {
  readonly series: Series;
  readonly #requests: Requests[] = [];

  /** `prepare` makes work for a pass; what it resolves to sees that it was done. */
  constructor(gateway: BenchGateway, prepare: () => Promise<() => Promise<void>>) {
    this.series = new Series(async () => {
      const finish = await prepare();
      const before = gateway.requests();
      const ms = await timed(() => poll(gateway.mailbox, agents()));
      this.#requests.push(since(before, gateway.requests()));
      await finish();
      return ms;
    });
  }

  get requests(): Requests {
    return mean(this.#requests);
  }
}

function openFilled(setting: Setting, name: string, finished: FinishedRuns): Promise<Pair> {
  return openPair(setting, `retained-${name.replaceAll(/\W/g, "-")}`, {
    fillCaller: (file, callee) => fillAsked(file, callee, finished),
    fillCallee: (file, caller) => fillReceived(file, caller, finished),
  });
}
