import { chmodSync, existsSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import type { Receipt } from "../protocol/receipt.ts";
import { fileError } from "./file-errors.ts";
import { recoverRecords } from "./recover.ts";
import { createStateFile } from "./sqlite/create.ts";
import { SqliteDatabase } from "./sqlite/database.ts";
import { identityOf, recordIdentity, requireIdentity } from "./sqlite/identity.ts";
import { SqliteRecords } from "./sqlite/records.ts";
import { migrate, requireKnownVersion } from "./sqlite/schema.ts";
import type { State } from "./state.ts";
import { RecordState } from "./steps.ts";

export interface SqliteStateOptions {
  /** The state's file; beside it SQLite keeps `<file>-wal` and `<file>-shm` while it is open. */
  readonly file: string;
  readonly clock: Clock;
  /** What names this machine: the content of `/etc/machine-id`, say. */
  readonly machine: string;
  /** The file never grows beyond so many pages of 4 KiB: then steps reject with `STATE_FULL`. */
  readonly maxPages?: number;
}

export interface RecoveredState {
  readonly state: State;
  /** As `State.recover` answers. */
  readonly bornMs: number;
  readonly open: readonly Receipt[];
}

/**
 * Makes a state, whole or not at all; only `init` does. Rejects with `HOME_EXISTS` when the file is there,
 * `HOME_MISSING` when its folder is not, `STATE_UNSAFE` when its file system is none for a state, or as
 * steps do.
 */
export async function createSqliteState(options: SqliteStateOptions): Promise<State> {
  const { clock, ...rest } = options;
  createStateFile({ ...rest, nowMs: clock.now() });
  return openSqliteState(options);
}

/** Makes a state in the place of one that is lost: recovered from its first moment on. Rejects like `createSqliteState`. */
export async function replaceSqliteState(options: SqliteStateOptions): Promise<RecoveredState> {
  const { clock, ...rest } = options;
  const bornMs = clock.now();
  createStateFile({ ...rest, nowMs: bornMs, recovered: true });
  return { state: await openSqliteState(options), bornMs, open: [] };
}

/**
 * Opens the state that is there and never makes one. Rejects with `STATE_MISSING`, with `STATE_UNSUPPORTED`
 * when a newer program made it, with `STATE_ELSEWHERE` when it lies elsewhere than where it was made or
 * recovered, or as steps do.
 */
export async function openSqliteState(options: SqliteStateOptions): Promise<State> {
  return connected(options, (database) => {
    requireKnownVersion(database);
    requireIdentity(database, identityOf(options.file, options.machine));
    migrate(database);
    return new RecordState(new SqliteRecords(database), options.clock);
  });
}

/**
 * Opens a state wherever it lies now, makes that its place and recovers it, in one transaction. Rejects
 * like `openSqliteState`, but never with `STATE_ELSEWHERE`.
 */
export async function recoverSqliteState(options: SqliteStateOptions): Promise<RecoveredState> {
  const { state, bornMs, open } = connected(options, (database) => {
    migrate(database);
    chmodSync(options.file, 0o600);
    const records = new SqliteRecords(database);
    const recovered = records.write(() => {
      recordIdentity(database, identityOf(options.file, options.machine));
      return recoverRecords(records, options.clock.now());
    }, "durable");
    return { state: new RecordState(records, options.clock), ...recovered };
  });
  try {
    await state.sync();
  } catch (thrown) {
    await state.close();
    throw thrown;
  }
  return { state, bornMs, open };
}

function connected<T>(options: SqliteStateOptions, use: (database: SqliteDatabase) => T): T {
  const { file, maxPages } = options;
  if (!existsSync(file)) {
    throw new PosternError(
      "STATE_MISSING",
      `there is no state at ${file}: put the right home there, or make a new state with \`postern state recover\``,
    );
  }
  const database = new SqliteDatabase({ file, ...(maxPages === undefined ? {} : { maxPages }) });
  try {
    return use(database);
  } catch (thrown) {
    database.close();
    throw fileError(thrown, file);
  }
}
