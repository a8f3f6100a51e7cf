import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { poll } from "../../src/gateway/poll.ts";
import { deliver } from "../../src/gateway/ask.ts";
import { Answer, answered, asking, requireSuccess, sending } from "./asking.ts";
import { roundsOf, type Benchmark } from "./benchmark.ts";
import { agents, openPair, type Pair } from "./gateways.ts";
import { RawBucket } from "./raw.ts";
import { since } from "./requests.ts";
import { inTurn, msCell, Series, spreadCells, spreadColumns, timed } from "./series.ts";

/** How long one call takes when nobody waits for a poll. */
export const latency: Benchmark = {
  name: "latency",
  run: async (setting) => {
    const rounds = roundsOf(setting, 200);
    await using pair = await openPair(setting, "latency");
    await using forgetful = await openPair(setting, "latency-in-memory", { forgets: true });
    const bucket = new RawBucket(setting.bucket);
    const raw = new Series((round) => timed(() => bucket.requestAndResponse(`latency-${round}`)));
    const own = new Series(() => untilAnswered(pair));
    const withoutDisk = new Series(() => untilAnswered(forgetful));
    const whole = new Series(() => timed(() => oneAfterTheOther(pair)));
    await inTurn(rounds, [raw, own, withoutDisk, whole]);

    const before = [pair.caller.requests(), pair.callee.requests()] as const;
    await untilAnswered(pair);
    return {
      title: "Round trip of one call",
      about:
        "From asking until the verified terminal frame is in the caller's hands, when each side looks the moment the other one's PUT is done, beside a chain of 2 PUT, 2 LIST and 2 GET by the AWS SDK alone. Aim: at most 1.5 times the chain. The second line is the same with states in memory: the rest is what commits to the disk cost, which here is also the store's. The third is one thing after the other, until both sides have cleaned up as well.",
      tables: [
        {
          columns: ["time over the raw chain", ...spreadColumns, "ms", "raw ms"],
          rows: (
            [
              ["until the answer is there", own],
              ["the same, states in memory", withoutDisk],
              ["until both sides are clean", whole],
            ] as const
          ).map(([what, series]) => [
            what,
            ...spreadCells(series.over(raw)),
            msCell(series.ms),
            msCell(raw.ms),
          ]),
        },
      ],
      requests: {
        caller: since(before[0], pair.caller.requests()),
        callee: since(before[1], pair.callee.requests()),
      },
    };
  },
};

/**
 * Milliseconds from asking until the verified terminal is there. What lies behind it on either side overlaps
 * with it, as it does in life, and has ended when this resolves.
 */
async function untilAnswered(pair: Pair): Promise<number> {
  const { caller, callee } = pair;
  const passed = once(caller.done, "put request").then(() => poll(callee.mailbox, agents()));
  const answerStands = once(callee.done, "put frames");
  const begun = performance.now();
  const asked = await asking(caller, callee.mailbox.self);
  const delivered = deliver(caller.mailbox, asked);
  await Promise.race([answerStands, passed]);
  const answer = new Answer(caller, asked);
  const terminal = await answer.terminal();
  const ms = performance.now() - begun;
  requireSuccess(terminal);
  await Promise.all([delivered, passed, answer.end()]);
  return ms;
}

async function oneAfterTheOther({ caller, callee }: Pair): Promise<void> {
  const asked = await sending(caller, callee.mailbox.self);
  await poll(callee.mailbox, agents());
  requireSuccess(await answered(caller, asked));
}
