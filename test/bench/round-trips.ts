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
    return {
      title: "Round-trip throughput",
      about:
        "Calls that are asked, run, answered, read and cleaned up, in a time, with so many outstanding at any moment: the callee looks as soon as there is something, the caller reads each answer once its PUT is done. Beside it a loop of 2 PUT, 2 LIST and 2 GET by the AWS SDK alone with as many at once. Aim: at least 0.8 of it with 16 at once. Requests are those of both sides for one call.",
      tables: [
        {
          columns: [
            "throughput over raw",
            ...spreadColumns,
            "per s",
            "raw per s",
            ...requestColumns,
          ],
          rows: [one.cells, many.cells],
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
): Promise<{ cells: string[]; requests: Requests }> {
  const calls = setting.size === "least" ? limit : Math.max(16, 4 * limit);
  const bucket = new RawBucket(setting.bucket);
  const raw = new Series((round) =>
    timed(() =>
      atOnce(limit, calls, (index) =>
        bucket.requestAndResponse(`round-trips-${limit}-${round}-${index}`),
      ),
    ),
  );
  const requests: Requests[] = [];
  const own = new Series(async () => {
    const before = sum(pair.caller.requests(), pair.callee.requests());
    const ms = await timed(() => callsAtOnce(pair, limit, calls));
    requests.push(since(before, sum(pair.caller.requests(), pair.callee.requests()), calls));
    return ms;
  });
  await inTurn(roundsOf(setting, 20), [raw, own]);
  const perSecond = ({ ms }: Series): string => ((calls * 1000) / ms.median).toFixed(0);
  const ofOne = mean(requests);
  return {
    cells: [
      `${limit} at once`,
      ...spreadCells(raw.over(own)),
      perSecond(own),
      perSecond(raw),
      ...requestCells(ofOne),
    ],
    requests: ofOne,
  };
}

/** Resolves when so many calls were made and answered, and no request and no answer is left. */
async function callsAtOnce(pair: Pair, limit: number, calls: number): Promise<void> {
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
  await Promise.all([serve(pair, calls), atOnce(limit, calls, call)]);
  callee.done.off("put frames", tell);
}

/** Looks into the inbox whenever something has come, until so many requests are answered and gone. */
async function serve({ caller, callee }: Pair, calls: number): Promise<void> {
  const responder = new Responder(callee.mailbox, agents());
  const gone = new Set<RunId>();
  let news = Promise.withResolvers<void>();
  const come = (): void => news.resolve();
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
