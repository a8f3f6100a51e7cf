import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { limits } from "../../base/limits.ts";
import type { Commit } from "../records.ts";
import { sqliteError } from "./errors.ts";
import { Row } from "./row.ts";

export interface SqliteOptions {
  readonly file: string;
  /** The file never grows beyond so many pages of 4 KiB: then `STATE_FULL`. */
  readonly maxPages?: number;
}

/**
 * One connection to a state's file, which must be there already: durable at commit where that is asked, beside any
 * number of other processes of this machine. Every method throws `STATE_BUSY`, `STATE_FULL`, `STATE_READ_ONLY`,
 * `STATE_DAMAGED` or `INTERNAL`.
 *
 * No other code of the process may open the file, not even to read it: closing any descriptor of a file drops
 * the locks that the process holds on it (POSIX fcntl), SQLite's as well.
 */
export class SqliteDatabase {
  readonly file: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** The statement that writes a row, by table. */
  readonly #puts = new Map<string, string>();
  #commit: Commit = "durable";
  #dirty = false;

  constructor({ file, maxPages }: SqliteOptions) {
    this.file = file;
    this.#database = this.#coded(
      () =>
        new DatabaseSync(sqliteUri(file, "rw"), {
          timeout: limits.stateBusyMs,
          enableForeignKeyConstraints: false,
        }),
    );
    try {
      this.#execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF",
      );
      if (maxPages !== undefined) this.#execute(`PRAGMA max_page_count = ${maxPages}`);
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /** Whether the present write has written anything yet. */
  get dirty(): boolean {
    return this.#dirty;
  }

  read<T>(step: () => T): T {
    return this.#transaction("BEGIN", step);
  }

  /**
   * Waits for its turn before it reads anything, so that what it read still holds when it commits. A relaxed
   * one waits for no disk: it is durable with the next sync of the log (see `LogSync`), or with the next durable
   * one (https://www.sqlite.org/pragma.html#pragma_synchronous).
   */
  write<T>(step: () => T, commit: Commit = "durable"): T {
    if (commit !== this.#commit) {
      this.#execute(`PRAGMA synchronous = ${commit === "durable" ? "FULL" : "NORMAL"}`);
      this.#commit = commit;
    }
    return this.#transaction("BEGIN IMMEDIATE", step);
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#coded(() => {
      const columns = this.#statement(sql).get(...values);
      return columns === undefined ? undefined : new Row(columns);
    });
  }

  /** What the statement counts as `n`. */
  count(sql: string, ...values: SQLInputValue[]): number {
    return this.get(sql, ...values)?.integer("n") ?? 0;
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#coded(() =>
      this.#statement(sql)
        .all(...values)
        .map((columns) => new Row(columns)),
    );
  }

  /** The same one by one, for who may stop early. */
  *each(sql: string, ...values: SQLInputValue[]): Generator<Row> {
    try {
      for (const columns of this.#statement(sql).iterate(...values)) yield new Row(columns);
    } catch (thrown) {
      throw sqliteError(thrown, this.file);
    }
  }

  run(sql: string, ...values: SQLInputValue[]): void {
    this.#dirty = true;
    this.#coded(() => this.#statement(sql).run(...values));
  }

  /** Writes a whole row, in the place of the one with the same key. A table's rows have the same columns each time. */
  put(
    table: string,
    key: readonly string[],
    columns: Readonly<Record<string, SQLInputValue>>,
  ): void {
    const sql = this.#puts.get(table) ?? putSql(table, key, Object.keys(columns));
    this.#puts.set(table, sql);
    this.run(sql, ...Object.values(columns));
  }

  /** Lowers what is above it in a column to `most`. */
  atMost(table: string, column: string, most: number): void {
    this.run(`UPDATE ${table} SET ${column} = ? WHERE ${column} > ?`, most, most);
  }

  /** Plain statements, whatever they do: inside a write they count as having written. */
  exec(sql: string): void {
    this.#dirty = true;
    this.#execute(sql);
  }

  close(): void {
    this.#statements.clear();
    this.#coded(() => this.#database.close());
  }

  /** One that wrote nothing is rolled back: it touches no disk. */
  #transaction<T>(begin: "BEGIN" | "BEGIN IMMEDIATE", step: () => T): T {
    this.#control(begin);
    this.#dirty = false;
    try {
      const answer = step();
      this.#control(this.#dirty ? "COMMIT" : "ROLLBACK");
      return answer;
    } catch (thrown) {
      // SQLite ends some failed transactions by itself.
      if (this.#database.isTransaction) this.#control("ROLLBACK");
      throw thrown;
    }
  }

  /** Prepared once: every step of the state begins and ends with such statements. */
  #control(sql: "BEGIN" | "BEGIN IMMEDIATE" | "COMMIT" | "ROLLBACK"): void {
    this.#coded(() => this.#statement(sql).run());
  }

  #execute(sql: string): void {
    this.#coded(() => this.#database.exec(sql));
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #coded<T>(run: () => T): T {
    try {
      return run();
    } catch (thrown) {
      throw sqliteError(thrown, this.file);
    }
  }
}

function putSql(table: string, key: readonly string[], columns: readonly string[]): string {
  const values = columns.map(() => "?").join(", ");
  const others = columns
    .filter((name) => !key.includes(name))
    .map((name) => `${name} = excluded.${name}`);
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${values})
    ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${others.join(", ")}`;
}

/** The file as SQLite's URI (https://www.sqlite.org/uri.html): the only way to open a file and never make one. */
export function sqliteUri(file: string, mode: "rw" | "rwc"): URL {
  const uri = pathToFileURL(file);
  uri.searchParams.set("mode", mode);
  return uri;
}
