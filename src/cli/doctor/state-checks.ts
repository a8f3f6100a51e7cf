import { limits } from "../../base/limits.ts";
import type { State } from "../../state/state.ts";
import { ok, warning, type Finding } from "./finding.ts";

/** How full the quarantine of one sender may be before it is worth a word. */
const worthAWord = 0.8;

/** How full the quarantine is: past its budget, what a sender sends is left in the store. */
export async function checkQuarantine(state: State): Promise<Finding> {
  const check = "quarantine";
  const { quarantine: buckets } = await state.overview();
  const fullest = buckets
    .map(({ bucket, entries, bytes }) => ({
      bucket,
      share: Math.max(
        entries / limits.quarantineEntriesPerPeer,
        bytes / limits.quarantineBytesPerPeer,
      ),
    }))
    .toSorted((a, b) => b.share - a.share)[0];
  if (fullest === undefined || fullest.share < worthAWord) {
    const held = buckets.reduce((sum, { entries }) => sum + entries, 0);
    return ok(check, `${held} entries`);
  }
  const what = `${Math.round(100 * fullest.share)} % of the room for ${fullest.bucket} is taken`;
  return warning(
    check,
    what,
    "see `postern quarantine list`: what comes beyond it is left in the store",
  );
}
