import type { State } from "../../src/state/state.ts";

/** A look has found that another state claimed the name. */
export function claimedElsewhere(state: State, begunMs: number): Promise<void> {
  return state.noteOwner({ begunMs, bornMs: 0, generation: 9, claimedMs: null, elsewhere: true });
}
