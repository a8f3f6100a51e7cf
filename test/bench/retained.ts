import { systemClock } from "../../src/base/clock.ts";
import { systemRandom, type Random } from "../../src/base/random.ts";
import { poll } from "../../src/gateway/poll.ts";
import { answered, requireSuccess, sending } from "./asking.ts";
import { numberText, roundsOf, type Benchmark, type Setting } from "./benchmark.ts";
import { fillAsked, fillReceived } from "./finished-runs.ts";
import { agents, openPair, type BenchGateway, type Pair } from "./gateways.ts";
import { requestCells, requestColumns, since, type Requests } from "./requests.ts";
import { inTurn, msCell, Series, spreadCells, spreadColumns, timed } from "./series.ts";

/** What a pass costs when much is remembered. */
export const retained: Benchmark = {
  name: "retained",
  run: async (setting) => {
    await using opened = new AsyncDisposableStack();
    const open = async (runs: number): Promise<Passes> =>
      passesOf(opened.use(await openFilled(setting, runs)));
    const empty = await open(0);
    const sizes = { full: [1000, 100_000], quick: [1000], least: [10] }[setting.size];
    const filled = new Map<number, Passes>();
    for (const runs of sizes) filled.set(runs, await open(runs));

    const all = [empty, ...filled.values()].flatMap((passes) => Object.values(passes));
    await inTurn(
      roundsOf(setting, 50),
      all.map(({ series }) => series),
    );
    const compared = [...filled].flatMap(([runs, passes]) =>
      passNames.map((name) => ({
        what: `${name}, ${numberText(runs)} retained`,
        pass: passes[name],
        beside: empty[name],
      })),
    );
    return {
      title: "A pass over a long memory",
      about:
        "One pass (`postern poll` without the start of its process) with so many finished runs of about 1 KiB each retained in its state (received ones at the callee, asked ones at the caller), beside a pass of a gateway that remembers nothing.",
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
  #requests: Requests | undefined;

  /** `prepare` makes work for a pass; what it resolves to sees that it was done. */
  constructor(gateway: BenchGateway, prepare: () => Promise<() => Promise<void>>) {
    this.series = new Series(async () => {
      const finish = await prepare();
      const before = gateway.requests();
      const ms = await timed(() => poll(gateway.mailbox, agents()));
      this.#requests = since(before, gateway.requests());
      await finish();
      return ms;
    });
  }

  /** Of the last pass. */
  get requests(): Requests {
    if (this.#requests === undefined) throw new Error("nothing was measured yet");
    return this.#requests;
  }
}

function openFilled(setting: Setting, runs: number): Promise<Pair> {
  const nowMs = systemClock.now();
  return openPair(setting, `retained-${runs}`, {
    random: () => unremarkable,
    fillCaller: (file, callee) => fillAsked(file, callee, runs, nowMs),
    fillCallee: (file, caller) => fillReceived(file, caller, runs, nowMs),
  });
}

/** What only one pass of many does, no pass does: all are alike. */
const unremarkable: Random = { bytes: systemRandom.bytes, fraction: () => 0.5 };
