import { sending as send } from "./asking.ts";
import { roundsOf, type Benchmark, type Setting } from "./benchmark.ts";
import { openPair, type Pair } from "./gateways.ts";
import { RawBucket } from "./raw.ts";
import { since } from "./requests.ts";
import { atOnce, inTurn, Series, spreadCells, spreadColumns, timed } from "./series.ts";

/** How many requests can be sent in a time. */
export const sending: Benchmark = {
  name: "sending",
  run: async (setting) => {
    await using pair = await openPair(setting, "sending");
    const rows = [await sentAtOnce(setting, pair, 1), await sentAtOnce(setting, pair, 16)];
    const before = pair.caller.requests();
    await send(pair.caller, pair.callee.mailbox.self);
    return {
      title: "One-way throughput",
      about:
        "Requests that are committed to the caller's state and put into the store, in a time, beside PUTs of the same size by the AWS SDK alone with as many at once.",
      tables: [{ columns: ["throughput over raw", ...spreadColumns, "per s", "raw per s"], rows }],
      requests: { caller: since(before, pair.caller.requests()) },
    };
  },
};

async function sentAtOnce(
  setting: Setting,
  { caller, callee }: Pair,
  limit: number,
): Promise<string[]> {
  const sent = setting.size === "least" ? limit : Math.max(16, 4 * limit);
  const bucket = new RawBucket(setting.bucket);
  const raw = new Series((round) =>
    timed(() => atOnce(limit, sent, (index) => bucket.put(`sending/${limit}/${round}/${index}`))),
  );
  const own = new Series(() =>
    timed(() => atOnce(limit, sent, () => send(caller, callee.mailbox.self))),
  );
  await inTurn(roundsOf(setting, 30), [raw, own]);
  const perSecond = ({ ms }: Series): string => ((sent * 1000) / ms.median).toFixed(0);
  return [`${limit} at once`, ...spreadCells(raw.over(own)), perSecond(own), perSecond(raw)];
}
