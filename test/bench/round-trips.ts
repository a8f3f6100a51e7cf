import type { RunId } from "../../src/base/names.ts";
import { deliver } from "../../src/gateway/ask.ts";
import { Responder } from "../../src/gateway/responder.ts";
import type { ObjectName } from "../../src/protocol/object-key.ts";
import { answered, asking, requireSuccess } from "./asking.ts";
import { roundsOf, type Benchmark, type Setting } from "./benchmark.ts";
import { agents, openPair, type Pair } from "./gateways.ts";
import { RawBucket } from "./raw.ts";
import { mean, requestCells, requestColumns, since, sum, type Requests } from "./requests.ts";
import { atOnce, inTurn, Series, spreadCells, spreadColumns, timed } from "./series.ts";

/** How many calls are answered in a time. */
export const roundTrips: Benchmark = {
  name: "round-trips",
  run: async (setting) => {
    await using pair = await openPair(setting, "round-trips");
    const one = await answeredAtOnce(setting, pair, 1);
    const many = await answeredAtOnce(setting, pair, 16);
    const rows = [...one.rows, ...many.rows];
    return {
      title: "Round-trip throughput",
      about:
        "Calls that are asked, run, answered, read and cleaned up, in a time, with so many outstanding at any moment: the callee looks as soon as there is something, the caller reads each answer once its PUT is done. Beside it the AWS SDK alone with as many at once: a loop of 2 PUT, 2 LIST and 2 GET, which leaves its objects behind, and the same with 2 DELETE, which leaves as little as ours. Aim: at least 0.8 of that one with 16 at once. Requests are those of both sides for one call.",
      tables: [
        {
          columns: [
            "throughput over raw",
            ...spreadColumns,
            "per s",
            "raw per s",
            ...requestColumns,
          ],
          rows,
        },
      ],
      requests: { "1 at once": one.requests, "16 at once": many.requests },
    };
  },
};

async function answeredAtOnce(
  setting: Setting,
  pair: Pair,
  limit: number,
): Promise<{ rows: string[][]; requests: Requests }> {
  const isLeast = setting.size === "least";
  const calls = isLeast ? limit : Math.max(16, 4 * limit);
  // How many come between two looks depends on the machine, unless the first one waits for them all.
  const atFirst = isLeast ? limit : 1;
  const bucket = new RawBucket(setting.bucket);
  const loop = (one: (id: string) => Promise<void>): Series =>
    new Series((round) =>
      timed(() => atOnce(limit, calls, (index) => one(`round-trips-${limit}-${round}-${index}`))),
    );
  const leaving = loop((id) => bucket.requestAndResponse(`leaving-${id}`));
  const deleting = loop((id) => bucket.requestAndResponseOnce(`deleting-${id}`));
  const requests: Requests[] = [];
  const own = new Series(async () => {
    const before = sum(pair.caller.requests(), pair.callee.requests());
    const ms = await timed(() => callsAtOnce(pair, limit, { calls, atFirst }));
    requests.push(since(before, sum(pair.caller.requests(), pair.callee.requests()), calls));
    return ms;
  });
  await inTurn(roundsOf(setting, 20), [leaving, deleting, own]);
  const perSecond = ({ ms }: Series): string => ((calls * 1000) / ms.median).toFixed(0);
  const ofOne = mean(requests);
  const row = (what: string, raw: Series): string[] => [
    `${limit} at once, over a loop that ${what}`,
    ...spreadCells(raw.over(own)),
    perSecond(own),
    perSecond(raw),
    ...requestCells(ofOne),
  ];
  return {
    rows: [row("deletes its objects", deleting), row("leaves its objects", leaving)],
    requests: ofOne,
  };
}

interface Work {
  readonly calls: number;
  /** How many requests there have to be before the first look. */
  readonly atFirst: number;
}

/** Resolves when so many calls were made and answered, and no request and no answer is left. */
async function callsAtOnce(pair: Pair, limit: number, work: Work): Promise<void> {
  const { caller, callee } = pair;
  const waiting = new Map<RunId, () => void>();
  const tell = (name: ObjectName): void => {
    if (name.kind === "frames") waiting.get(name.runId)?.();
  };
  callee.done.on("put frames", tell);
  const call = async (): Promise<void> => {
    const asked = await asking(caller, callee.mailbox.self);
    const stands = Promise.withResolvers<void>();
    waiting.set(asked.record.runId, stands.resolve);
    await Promise.all([deliver(caller.mailbox, asked), stands.promise]);
    requireSuccess(await answered(caller, asked));
  };
  await Promise.all([serve(pair, work), atOnce(limit, work.calls, call)]);
  callee.done.off("put frames", tell);
}

/** Looks into the inbox whenever something has come, until so many requests are answered and gone. */
async function serve({ caller, callee }: Pair, { calls, atFirst }: Work): Promise<void> {
  const responder = new Responder(callee.mailbox, agents());
  const gone = new Set<RunId>();
  let put = 0;
  let news = Promise.withResolvers<void>();
  const come = (): void => {
    put += 1;
    if (put >= atFirst) news.resolve();
  };
  const go = (name: ObjectName): void => {
    if (name.kind === "request") gone.add(name.runId);
    if (gone.size === calls) news.resolve();
  };
  caller.done.on("put request", come);
  callee.done.on("delete request", go);
  for (;;) {
    await news.promise;
    if (gone.size === calls) break;
    news = Promise.withResolvers();
    await responder.scan(() => true);
    const [problem] = responder.takeProblems();
    if (problem !== undefined) throw problem;
  }
  caller.done.off("put request", come);
  callee.done.off("delete request", go);
}
