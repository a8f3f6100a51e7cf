import type { Trouble, Troubles } from "../troubles.ts";
import type { SqliteDatabase } from "./database.ts";
import type { Row } from "./row.ts";

/** Troubles as rows of one table. */
export class SqliteTroubles implements Troubles {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  get(subject: string): Trouble | undefined {
    const row = this.#database.get("SELECT * FROM troubles WHERE subject = ?", subject);
    return row && troubleOf(row);
  }

  all(): Trouble[] {
    const sql = "SELECT * FROM troubles ORDER BY at_ms DESC, subject";
    return this.#database.all(sql).map(troubleOf);
  }

  count(): number {
    return this.#database.count("SELECT count(*) AS n FROM troubles");
  }

  old(beforeMs: number, limit: number): string[] {
    const sql = "SELECT subject FROM troubles WHERE at_ms < ? ORDER BY at_ms, subject LIMIT ?";
    return this.#database.all(sql, beforeMs, Math.max(0, limit)).map((row) => row.text("subject"));
  }

  put({ subject, code, message, atMs }: Trouble): void {
    this.#database.put("troubles", ["subject"], { subject, code, at_ms: atMs, message });
  }

  dateUntil(nowMs: number): void {
    this.#database.atMost("troubles", "at_ms", nowMs);
  }

  delete(subject: string): void {
    this.#database.run("DELETE FROM troubles WHERE subject = ?", subject);
  }
}

function troubleOf(row: Row): Trouble {
  return {
    subject: row.text("subject"),
    code: row.text("code"),
    message: row.text("message"),
    atMs: row.integer("at_ms"),
  };
}
