import { existsSync } from "node:fs";
import { systemClock } from "../base/clock.ts";
import { asPosternError, type PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { RunId } from "../base/names.ts";
import { openGateway, type OpenGatewayOptions } from "../gateway/gateway.ts";
import { openHome } from "../gateway/home.ts";
import { machineName } from "../gateway/machine.ts";
import { holdPassLock } from "../gateway/pass-lock.ts";
import { ensureOwner } from "../mailbox/owner.ts";
import {
  recoverSqliteState,
  replaceSqliteState,
  type RecoveredState,
  type SqliteStateOptions,
} from "../state/sqlite.ts";

export interface Recovered {
  /** The state was gone, and this one is new. */
  readonly made: boolean;
  readonly bornMs: number;
  /** Requests signed before this never run, unless a receipt of them stands; unknown until the name is claimed. */
  readonly runsFromMs: number | undefined;
  /** Runs that were open: the next pass ends them `interrupted`. */
  readonly openRuns: readonly RunId[];
  /** Why the claim on the gateway's name could not be put into the store; the next pass does it then. */
  readonly unclaimed: PosternError | undefined;
}

/**
 * Makes the state in this home the one that serves its gateway (SPEC.md, Owner). Rejects with `PASS_RUNNING`,
 * with `STATE_ELSEWHERE` when another state claims the name at the same time, or as home and state do.
 */
export async function recoverState(
  options: Pick<OpenGatewayOptions, "home" | "log" | "env">,
): Promise<Recovered> {
  const { paths } = openHome(options.home);
  using _lock = holdPassLock(paths.home);
  const place = { file: paths.state, clock: systemClock, machine: machineName() };
  const made = await madeAnew(place);
  const recovered = made ?? (await recoverSqliteState(place));
  await recovered.state.close();
  const openRuns = recovered.open.map(({ runId }) => runId);
  const { bornMs = recovered.bornMs, unclaimed } = await claim(options);
  const runsFromMs = unclaimed === undefined ? bornMs + limits.recoveryMs : undefined;
  return { made: made !== undefined, bornMs, runsFromMs, openRuns, unclaimed };
}

/** Undefined where there is a state, whatever is wrong with it. */
async function madeAnew(place: SqliteStateOptions): Promise<RecoveredState | undefined> {
  try {
    return await replaceSqliteState(place);
  } catch (thrown) {
    if (asPosternError(thrown).code === "HOME_EXISTS" && existsSync(place.file)) return undefined;
    throw thrown;
  }
}

/** What was recovered stands already: a store that is away does not undo it. */
async function claim(
  options: Pick<OpenGatewayOptions, "home" | "log" | "env">,
): Promise<{ readonly bornMs?: number; readonly unclaimed?: PosternError }> {
  try {
    await using gateway = await openGateway({ ...options, admits: false });
    await ensureOwner(gateway.mailbox);
    return { bornMs: (await gateway.mailbox.state.owner()).bornMs };
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class === "store") return { unclaimed: error };
    throw error;
  }
}
