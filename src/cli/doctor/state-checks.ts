import { limits } from "../../base/limits.ts";
import type { State } from "../../state/state.ts";
import { ok, warning, type Finding } from "./finding.ts";

/** How full the quarantine of one sender may be before it is worth a word. */
const worthAWord = 0.8;

/** How full the quarantine is: past its budget, what a sender sends is left in the store. */
export async function checkQuarantine(state: State): Promise<Finding> {
  const check = "quarantine";
  const entries = await state.quarantined({ limit: Number.MAX_SAFE_INTEGER });
  const fullest = [...Map.groupBy(entries, ({ bucket }) => bucket)]
    .map(([bucket, held]) => {
      const bytes = held.reduce((sum, entry) => sum + (entry.bytes?.length ?? 0), 0);
      const share = Math.max(
        held.length / limits.quarantineEntriesPerPeer,
        bytes / limits.quarantineBytesPerPeer,
      );
      return { bucket, share };
    })
    .toSorted((a, b) => b.share - a.share)[0];
  if (fullest === undefined || fullest.share < worthAWord)
    return ok(check, `${entries.length} entries`);
  const what = `${Math.round(100 * fullest.share)} % of the room for ${fullest.bucket} is taken`;
  return warning(
    check,
    what,
    "see `postern quarantine list`: what comes beyond it is left in the store",
  );
}
