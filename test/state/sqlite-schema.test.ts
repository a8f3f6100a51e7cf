import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { createSqliteState, openSqliteState } from "../../src/state/sqlite.ts";
import { SqliteDatabase } from "../../src/state/sqlite/database.ts";
import { identityOf, recordIdentity } from "../../src/state/sqlite/identity.ts";
import { markAsState, migrate, requireKnownVersion } from "../../src/state/sqlite/schema.ts";
import type { State } from "../../src/state/state.ts";
import {
  cancelFor,
  digestFor,
  endedAt,
  outboxFor,
  receiptFor,
  refusedObject,
  SetClock,
  succeeded,
  transcriptFor,
  troubleOf,
} from "./samples.ts";

const first = "CREATE TABLE one (x INTEGER) STRICT; INSERT INTO one VALUES (1);";
const second = "ALTER TABLE one ADD COLUMN y INTEGER NOT NULL DEFAULT 7;";

describe("migration", () => {
  let folder: string;
  let database: SqliteDatabase;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "postern-state-"));
    const file = join(folder, "state.sqlite");
    await writeFile(file, "");
    database = new SqliteDatabase({ file });
    markAsState(database);
  });
  afterEach(async () => {
    database.close();
    await rm(folder, { recursive: true });
  });

  it("takes the steps that a state has not been through, in order, and each once", () => {
    migrate(database, [first]);
    migrate(database, [first]);
    expect(requireKnownVersion(database, [first])).toBe(1);
    migrate(database, [first, second]);
    migrate(database, [first, second]);
    expect(requireKnownVersion(database, [first, second])).toBe(2);
    expect(database.all("SELECT * FROM one").map((row) => row.integer("y"))).toStrictEqual([7]);
  });

  it("changes nothing when one of its steps fails", () => {
    migrate(database, [first]);
    expect(() => migrate(database, [first, second, "CREATE TABLE one (z)"])).toThrow("one");
    expect(requireKnownVersion(database, [first])).toBe(1);
    expect(() => database.all("SELECT y FROM one")).toThrow("y");
  });

  it("refuses a state that has been through more than it knows", () => {
    migrate(database, [first, second]);
    expect(() => migrate(database, [first])).toThrow(
      expect.objectContaining({ code: "STATE_UNSUPPORTED" }),
    );
  });
});

const ofVersion1 = {
  version: 1,
  read: null,
  released: false,
  troubles: [],
  passes: { lastPass: null, lastGoodPassMs: null },
  settledReceipts: 0,
};
const ofVersion2 = {
  version: 2,
  read: { attempt: 1, seq: 2, prev: utf8("prev"), atMs: null },
  released: true,
  troubles: [troubleOf("peer.example")],
  passes: { lastPass: { atMs: 4500, code: "STORE_MISSING" }, lastGoodPassMs: 4000 },
  settledReceipts: 1,
};

describe.each([
  ofVersion1,
  ofVersion2,
  { ...ofVersion2, version: 3 },
  { ...ofVersion2, version: 4 },
])("a state of version $version, as a program of then left it", (then) => {
  let clock: SetClock;
  let folder: string;

  beforeEach(async () => {
    clock = new SetClock(5000);
    folder = await mkdtemp(join(tmpdir(), "postern-state-"));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  /** The state of then, opened by this program. */
  async function ofThen(): Promise<State> {
    const file = join(folder, "then.sqlite");
    await writeFile(file, "");
    const database = new SqliteDatabase({ file });
    database.exec(await readFile(join(import.meta.dirname, `version-${then.version}.sql`), "utf8"));
    recordIdentity(database, identityOf(file, "m"));
    database.close();
    return openSqliteState({ file, clock, machine: "m" });
  }

  it("keeps every row on its way to the present version", async () => {
    const state = await ofThen();
    const terminal = { attempt: 1, seq: 3, envelope: utf8("terminal"), payload: succeeded };
    const ended = receiptFor("ended", {
      receivedMs: 900,
      outcome: succeeded,
      ...endedAt(2000, { acknowledged: false, terminal }),
    });
    expect(await state.receipt(receiptFor("open"))).toStrictEqual(receiptFor("open"));
    expect(await state.receipt(ended)).toStrictEqual(ended);
    for (const name of ["open", "ended", "neither"]) {
      const other = receiptFor(name, { requestDigest: digestFor("other") });
      const blocked = await state.stepRun(other, (view) => ({ answer: view.blocked }));
      expect(blocked).toBe(name !== "neither");
    }
    const asked = outboxFor("asked", {
      sentMs: 1001,
      cancel: cancelFor("asked"),
      read: then.read,
    });
    expect(await state.outboxRecord(asked.runId)).toStrictEqual(asked);
    const closed = outboxFor("closed", { state: "closed", closedMs: 3000, terminal: succeeded });
    expect(await state.outboxRecord(closed.runId)).toStrictEqual(closed);
    const transcript = transcriptFor("closed", 3000, 1);
    expect(await state.transcript(closed.runId)).toStrictEqual(transcript);
    const entries = await state.quarantined({ limit: 9 });
    expect(entries.map(({ id: _, ...entry }) => entry)).toStrictEqual([
      { ...refusedObject(), released: then.released },
      { ...refusedObject({ bytes: null, size: 100 }), released: false },
    ]);
    expect(await state.troubles()).toStrictEqual(then.troubles);
    expect(await state.overview()).toMatchObject(then.passes);
    expect(await state.owner()).toMatchObject({ lookMs: 10, generation: 3, claimedMs: 5 });
    expect(await state.knowsOwnerNonce("n")).toBe(true);
    expect(await state.seeVersion("trust", 4)).toBe("rolled-back");
    expect(await state.nextNumber("card")).toBe(2);
    await state.close();
  });

  it("is collected from as a new one is", async () => {
    const state = await ofThen();
    const { skewMs, retentionMs } = limits;
    const options = { limit: 9, skewMs, retentionMs };
    const over = {
      receipts: then.settledReceipts,
      quarantine: 2,
      troubles: then.troubles.length,
    };
    clock.ms = 3000 + retentionMs;
    expect(await state.collect(options)).toStrictEqual({ ...over, outbox: 0 });
    clock.ms += 1;
    expect(await state.collect(options)).toMatchObject({ receipts: 0, outbox: 1 });
    await state.close();
  });

  it("has the tables and indexes of a new one afterwards", async () => {
    await (await ofThen()).close();
    const file = join(folder, "new.sqlite");
    await (await createSqliteState({ file, clock, machine: "m" })).close();
    expect(schemaOf(join(folder, "then.sqlite"))).toStrictEqual(schemaOf(file));
  });
});

function schemaOf(file: string): string[] {
  const database = new SqliteDatabase({ file });
  const rows = database.all("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name");
  database.close();
  return rows.map((row) => row.text("sql"));
}
