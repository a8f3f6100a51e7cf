import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SqliteDatabase } from "../../src/state/sqlite/database.ts";
import { markAsState, migrate, requireKnownVersion } from "../../src/state/sqlite/schema.ts";

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
