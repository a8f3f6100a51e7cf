import type { Clock } from "../base/clock.ts";

/** Between two looks at whether a group is gone. */
const lookMs = 50;

/**
 * Ends every process of the group that `leader` leads: SIGTERM, then SIGKILL for whoever is left after
 * `graceMs`. Resolves once the group is gone or SIGKILL was sent; at once when there is no such group. A dead
 * process that its parent has not waited for counts as a member, so where nobody does the grace is waited out.
 */
export async function stopGroup(leader: number, graceMs: number, clock: Clock): Promise<void> {
  if (!signalGroup(leader, "SIGTERM")) return;
  // Counted in sleeps, so that a clock that is set back cannot lengthen the grace.
  for (let waitedMs = 0; waitedMs < graceMs; waitedMs += lookMs) {
    await clock.sleep(Math.min(lookMs, graceMs - waitedMs));
    if (!groupStands(leader)) return;
  }
  signalGroup(leader, "SIGKILL");
}

/** Whether the group that `leader` leads, or led, has members still. Once it has none, its number may be another's. */
export function groupStands(leader: number): boolean {
  return signalGroup(leader, 0);
}

/** False when the group is gone, or is not ours to signal. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}
