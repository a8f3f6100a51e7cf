import { PosternError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { GatewayName } from "../../base/names.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { probeStore, type StoreProbe } from "../../store/probe.ts";
import type { Store, StoreCapabilities } from "../../store/store.ts";
import { formatDuration } from "../duration.ts";
import { failure, findings, ok, warning, type Finding } from "./finding.ts";

export interface StoreCheckOptions {
  readonly gateway: GatewayName;
  readonly clock: Clock;
  readonly random: Random;
}

/** Reads, races and deletes in the store. `store` is not under `retryStore`: see `probeStore`. */
export async function checkStore(
  store: Store,
  options: StoreCheckOptions,
): Promise<readonly Finding[]> {
  return findings("store", async () => {
    await store.list({ prefix: `${options.gateway}/`, limit: 1 });
    const reached = ok("store", store.capabilities.location);
    const raced = await findings("conditional writes", async () => {
      const probe = await probeStore(store, options);
      return [
        judgeWrites(store.capabilities, probe),
        ...judgeRate(probe),
        judgeListing(probe),
        judgeClock(probe.clockOffsetMs),
      ];
    });
    return [reached, ...raced];
  });
}

/** A folder without hard links is sound as long as only one machine writes in it at a time. */
export function judgeWrites(
  { atomicPut }: StoreCapabilities,
  { conditionalPut, winners, racers }: StoreProbe,
): Finding {
  const check = "conditional writes";
  if (conditionalPut === "atomic") return ok(check, `of ${racers} at once, one won`);
  if (atomicPut === "no" && winners === 1) {
    const remedy = "let one machine write at a time, or use a disk that has hard links";
    return warning(check, "this folder has no hard links, as on FAT and exFAT", remedy);
  }
  const what = `of ${racers} writes of one name at once, ${winners} won, and one has to: use a store that honours If-None-Match`;
  return failure(check, new PosternError("STORE_UNSAFE", what));
}

/** What a store turns away is asked again, and comes late. */
export function judgeRate({ turnedAway, racers }: StoreProbe): readonly Finding[] {
  if (turnedAway === 0) return [];
  const what = `of ${racers} requests at once, ${turnedAway} were turned away`;
  const remedy = "answers come late: ask for a higher rate, or let fewer runs go on at once";
  return [warning("rate", what, remedy)];
}

/** Nothing is believed for being listed, or not: a listing that lags only makes all come late. */
export function judgeListing({ listed, deleted, lagMs }: StoreProbe): Finding {
  const check = "listing";
  const remedy = "answers and cancels come late: look for a cache or a replica in between";
  const within = formatDuration(limits.probeLagMs);
  if (!listed) return warning(check, `a new object is not listed within ${within}`, remedy);
  if (!deleted) return warning(check, `a deleted object is still there after ${within}`, remedy);
  if (lagMs === 0) return ok(check, "what is written is listed, and what is deleted is gone");
  const late = formatDuration(Math.ceil(lagMs / 1000) * 1000);
  return warning(check, `listings are up to ${late} behind`, remedy);
}

/** Whether another folder in this one's place would be noticed. A bucket's name and credentials say which it is. */
export function judgePin(
  { id }: StoreCapabilities,
  pinned: string | undefined,
): readonly Finding[] {
  if (id === undefined) return [];
  if (pinned !== undefined) return [ok("store id", `${id}, as config.json says`)];
  const remedy = `add "storeId": "${id}" to config.json`;
  return [
    warning(
      "store id",
      "another folder in its place, such as an empty mount point, would not be noticed",
      remedy,
    ),
  ];
}

/** How far the store's clock is from ours. */
export function judgeClock(offsetMs: number | undefined): Finding {
  const check = "clock";
  if (offsetMs === undefined)
    return warning(check, "the store told no time", "compare this machine's clock by hand");
  const off = Math.abs(offsetMs);
  const side = offsetMs > 0 ? "behind" : "ahead of";
  const shown = `this machine is ${formatDuration(Math.round(off / 1000) * 1000)} ${side} the store`;
  const remedy = "set the clocks by NTP";
  if (off > limits.skewMs) {
    const most = formatDuration(limits.skewMs);
    return failure(
      check,
      new PosternError("STORE_CLOCK_SKEW", `${shown}, and ${most} is the most: ${remedy}`),
    );
  }
  if (off > limits.skewMs / 4) return warning(check, shown, remedy);
  return ok(check, off === 0 ? "no difference to the store could be seen" : shown);
}
