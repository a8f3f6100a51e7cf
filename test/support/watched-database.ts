import type { SQLInputValue } from "node:sqlite";
import { SqliteDatabase } from "../../src/state/sqlite/database.ts";
import type { Row } from "../../src/state/sqlite/row.ts";

/** A state's file that remembers what was asked of it. */
export class WatchedDatabase extends SqliteDatabase {
  readonly #rows = new Map<string, number>();

  /** Each statement so far, and how many rows it answered with in all. */
  get rows(): ReadonlyMap<string, number> {
    return this.#rows;
  }

  forget(): void {
    this.#rows.clear();
  }

  /** How SQLite goes through its tables for the statements so far (https://www.sqlite.org/eqp.html). */
  plans(): readonly string[] {
    const plan = (sql: string): Row[] => super.all(`EXPLAIN QUERY PLAN ${sql}`);
    return [...this.#rows.keys()].flatMap((sql) => plan(sql).map((row) => row.text("detail")));
  }

  override get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    const row = super.get(sql, ...values);
    this.#count(sql, row === undefined ? 0 : 1);
    return row;
  }

  override all(sql: string, ...values: SQLInputValue[]): Row[] {
    const rows = super.all(sql, ...values);
    this.#count(sql, rows.length);
    return rows;
  }

  override *each(sql: string, ...values: SQLInputValue[]): Generator<Row> {
    this.#count(sql, 0);
    for (const row of super.each(sql, ...values)) {
      this.#count(sql, 1);
      yield row;
    }
  }

  override run(sql: string, ...values: SQLInputValue[]): void {
    this.#count(sql, 0);
    super.run(sql, ...values);
  }

  #count(sql: string, rows: number): void {
    this.#rows.set(sql, (this.#rows.get(sql) ?? 0) + rows);
  }
}
