import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { parseAgentName } from "../../src/base/names.ts";
import { poll } from "../../src/gateway/poll.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { PatientClock } from "../support/patient-clock.ts";
import { answered, requireSuccess, sending } from "./asking.ts";
import { numberText, roundsOf, type Benchmark } from "./benchmark.ts";
import { agents, openPair, type Pair } from "./gateways.ts";
import { requestCells, requestColumns, since, type Requests } from "./requests.ts";

const minuteMs = 60_000;

/** What a run, and a minute without one, asks of the store: what providers bill. */
export const requestsPerRun: Benchmark = {
  name: "requests",
  run: async (setting) => {
    const clock = new PatientClock();
    await using pair = await openPair(setting, "requests", { clock });
    await using streaming = await openPair(setting, "requests-streamed", { clock: systemClock });
    // Chance is for minutes without a run alone: how often it is asked while one goes on depends on the machine.
    let seed = 0;
    const random = () => new SeededRandom((seed += 1));
    await using idle = await openPair(setting, "requests-idle", { clock, random });
    const minutes = { full: 1440, quick: 120, least: 60 }[setting.size];
    const runs = roundsOf(setting, 60);

    const found = [
      await counted(pair, "a short run among others", runs, () => short(pair)),
      await counted(pair, "a short run, a minute after the last", runs, () => {
        clock.advance(minuteMs);
        return short(pair);
      }),
      await counted(streaming, "100 texts over 2 s", Math.ceil(runs / 20), () =>
        streamed(streaming),
      ),
      await counted(pair, "a refused run", runs, () => refused(pair)),
      await counted(idle, "an idle minute", minutes, async () => {
        clock.advance(minuteMs);
        await poll(idle.caller.mailbox, agents());
        await poll(idle.callee.mailbox, agents());
      }),
    ];
    const asked = await sending(idle.caller, idle.callee.mailbox.self);
    const awaited = await counted(idle, "a minute of waiting for an answer", runs, async () => {
      clock.advance(minuteMs);
      await poll(idle.caller.mailbox, agents());
    });
    await poll(idle.callee.mailbox, agents());
    requireSuccess(await answered(idle.caller, asked));
    const requests = Object.fromEntries([...found.flat(), ...awaited.slice(0, 1)]);
    return {
      title: "Requests to the store",
      about: `Requests of each side for one run: the callee in one pass, the caller following. The runs a minute apart include the look at the owner keys that each pass with work begins with, and its hourly claim. An idle minute is a pass of \`postern poll\` on either side, with nothing to do, over ${numberText(minutes)} minutes; a minute of waiting is such a pass of a caller whose request nobody has looked at. What only one pass of many does is counted in these two alone.`,
      tables: [
        {
          columns: ["requests for", ...requestColumns],
          rows: Object.entries(requests).map(([what, of]) => [what, ...requestCells(of)]),
        },
      ],
      requests,
    };
  },
};

/** The requests of each side for one time. */
async function counted(
  { caller, callee }: Pair,
  what: string,
  times: number,
  work: () => Promise<void>,
): Promise<[string, Requests][]> {
  const before = [caller.requests(), callee.requests()] as const;
  for (let time = 0; time < times; time += 1) await work();
  return [
    [`${what}: caller`, since(before[0], caller.requests(), times)],
    [`${what}: callee`, since(before[1], callee.requests(), times)],
  ];
}

async function short({ caller, callee }: Pair): Promise<void> {
  const asked = await sending(caller, callee.mailbox.self);
  await poll(callee.mailbox, agents());
  requireSuccess(await answered(caller, asked));
}

/** The caller follows from the start, as `postern call` does. */
async function streamed({ caller, callee }: Pair): Promise<void> {
  const asked = await sending(caller, callee.mailbox.self);
  const [terminal] = await Promise.all([
    answered(caller, asked),
    poll(callee.mailbox, agents(talker)),
  ]);
  requireSuccess(terminal);
}

async function refused({ caller, callee }: Pair): Promise<void> {
  const asked = await sending(caller, callee.mailbox.self, parseAgentName("nobody"));
  await poll(callee.mailbox, agents());
  const { status } = await answered(caller, asked);
  if (status !== "refused") throw new Error(`a run for nobody ended ${status}`);
}

/** However slow the machine is, it has said all after two seconds. */
const talker: Handler = {
  run: async (_work, emit) => {
    const begun = performance.now();
    for (let text = 0; text < 100; text += 1) {
      await emit({ event: "textDelta", payload: { text: "twenty characters..." } });
      await delay(Math.max(0, begun + 20 * (text + 1) - performance.now()));
    }
    return {};
  },
};
