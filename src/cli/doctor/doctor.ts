import { systemClock } from "../../base/clock.ts";
import { PosternError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import type { Config } from "../../gateway/config.ts";
import { openGateway } from "../../gateway/gateway.ts";
import { homePaths, readConfig, type HomePaths } from "../../gateway/home.ts";
import { machineName } from "../../gateway/machine.ts";
import { formerKeyOf } from "../../mailbox/former-key.ts";
import { requireTrust } from "../../mailbox/grants.ts";
import type { Mailbox } from "../../mailbox/mailbox.ts";
import { checkOwner } from "../../mailbox/owner.ts";
import { fingerprintOf } from "../../protocol/keys.ts";
import { openSqliteState } from "../../state/sqlite.ts";
import { openStore, parseStoreUrl } from "../../store/open.ts";
import { checkAgents } from "./agent-checks.ts";
import { checkFileSystem } from "./file-system.ts";
import { failure, findings, ok, type Finding } from "./finding.ts";
import { checkConfig, checkHome, checkKey, checkNode, checkTrust } from "./home-checks.ts";
import { checkQuarantine } from "./state-checks.ts";
import { checkStore, judgePin } from "./store-checks.ts";

export interface DoctorOptions {
  readonly home: string;
  readonly log: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Looks at everything that a gateway needs, as far as one thing does not keep it from looking at the next. */
export async function* examine(options: DoctorOptions): AsyncGenerator<Finding> {
  const paths = homePaths(options.home);
  yield checkNode();
  const home = await checkHome(paths);
  yield* home;
  if (hasFailed(home)) return;
  const configured = await checkConfig(paths);
  yield* configured;
  const key = await checkKey(paths);
  yield* key;
  yield checkFileSystem(paths.home);
  const state = await checkState(paths);
  yield* state;
  if (hasFailed(configured)) return;

  const config = readConfig(paths);
  const trust = await checkTrust(paths, config, systemClock);
  yield* trust;
  yield* await checkAgents(config, { home: paths.home, env: options.env });
  const store = await checkStoreOf(config);
  yield* store;
  const before = [...key, ...state, ...trust, ...store];
  if (!hasFailed(before)) yield* await checkTogether(options);
}

function hasFailed(found: readonly Finding[]): boolean {
  return found.some(({ status }) => status === "failure");
}

function checkState(paths: HomePaths): Promise<readonly Finding[]> {
  return findings("state", async () => {
    const place = { file: paths.state, clock: systemClock, machine: machineName() };
    const state = await openSqliteState(place);
    try {
      return [ok("state", paths.state), await checkQuarantine(state)];
    } finally {
      await state.close();
    }
  });
}

function checkStoreOf({ store: url, storeId, gateway }: Config): Promise<readonly Finding[]> {
  return findings("store", async () => {
    const options = { clock: systemClock, random: systemRandom, gateway };
    const pinned = storeId === undefined ? {} : { expectedId: storeId };
    const store = await openStore(parseStoreUrl(url), { ...options, ...pinned });
    try {
      return [...(await checkStore(store, options)), ...judgePin(store.capabilities, storeId)];
    } finally {
      await store.close();
    }
  });
}

/** Whether it is the store, and the state, that they were. */
function checkTogether(options: DoctorOptions): Promise<readonly Finding[]> {
  return findings("owner", async () => {
    await using gateway = await openGateway({ ...options, admits: false });
    await requireTrust(gateway.mailbox);
    await checkOwner(gateway.mailbox);
    const served = ok("owner", "no other state serves this gateway");
    const former = await formerKeyOf(gateway.mailbox);
    return former === undefined ? served : [served, replacedKey(gateway.mailbox, former)];
  });
}

function replacedKey({ signingKey }: Mailbox, former: string): Finding {
  const [before, now] = [{ kid: former }, signingKey.publicKey].map(fingerprintOf);
  const what = `the key in this home is ${now}, and its name was claimed under ${before}, which peers know: bring that one back from a backup`;
  return failure("signing key", new PosternError("KEY_FILE_INVALID", what));
}
