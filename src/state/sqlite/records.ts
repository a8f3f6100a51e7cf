import { PosternError } from "../../base/errors.ts";
import type { Commit, Meta, Records } from "../records.ts";
import type { SqliteDatabase } from "./database.ts";
import { LogSync } from "./log-sync.ts";
import { metaColumns, metaOf } from "./meta.ts";
import { SqliteOutbox } from "./outbox.ts";
import { SqliteQuarantine } from "./quarantine.ts";
import { SqliteReceipts } from "./receipts.ts";
import { SqliteTroubles } from "./troubles.ts";

/**
 * The records of a state as rows of one SQLite file; the tables are in `schema.ts`. Where SQLite, which has no
 * statistics here, would choose an index that reads too much, a statement names the right one. What an overview
 * counts comes from an index that has all it needs (for one of all rows SQLite takes the smallest): the rows and
 * their large values are not read.
 */
export class SqliteRecords implements Records {
  readonly receipts: SqliteReceipts;
  readonly outbox: SqliteOutbox;
  readonly quarantine: SqliteQuarantine;
  readonly troubles: SqliteTroubles;
  readonly #database: SqliteDatabase;
  readonly #log: LogSync;

  constructor(database: SqliteDatabase) {
    this.receipts = new SqliteReceipts(database);
    this.outbox = new SqliteOutbox(database);
    this.quarantine = new SqliteQuarantine(database);
    this.troubles = new SqliteTroubles(database);
    this.#database = database;
    this.#log = new LogSync(database.file);
  }

  get dirty(): boolean {
    return this.#database.dirty;
  }

  read<T>(step: () => T): T {
    return this.#database.read(step);
  }

  write<T>(step: () => T, commit: Commit): T {
    const answer = this.#database.write(step, "relaxed");
    // Who waits for it is told by `settled`.
    if (commit === "durable" && this.#database.dirty) this.#log.sync().catch(() => undefined);
    return answer;
  }

  settled(): Promise<void> {
    return this.#log.settled();
  }

  sync(): Promise<void> {
    return this.#log.sync();
  }

  close(): void {
    this.#log.close();
    this.#database.close();
  }

  meta(): Meta {
    const row = this.#database.get("SELECT * FROM meta");
    if (row === undefined) {
      throw new PosternError(
        "STATE_DAMAGED",
        `${this.#database.file} has lost its meta row: put a good copy there and run \`postern state recover\``,
      );
    }
    return metaOf(row);
  }

  putMeta(meta: Meta): void {
    this.#database.put("meta", ["one"], metaColumns(meta));
  }

  raiseClock(nowMs: number): void {
    const sql = "UPDATE meta SET highest_clock_ms = ? WHERE highest_clock_ms < ?";
    this.#database.run(sql, nowMs, nowMs);
  }

  hasNonce(nonce: string): boolean {
    return this.#database.get("SELECT 1 FROM nonces WHERE nonce = ?", nonce) !== undefined;
  }

  putNonce(nonce: string): void {
    this.#database.run("INSERT INTO nonces (nonce) VALUES (?)", nonce);
  }

  deleteNonces(): void {
    this.#database.run("DELETE FROM nonces");
  }

  version(document: string): number | undefined {
    const row = this.#database.get("SELECT version FROM versions WHERE document = ?", document);
    return row?.integer("version");
  }

  putVersion(document: string, version: number): void {
    this.#database.put("versions", ["document"], { document, version });
  }

  lastNumber(series: string): number | undefined {
    return this.#database.get("SELECT last FROM series WHERE series = ?", series)?.integer("last");
  }

  putLastNumber(series: string, last: number): void {
    this.#database.put("series", ["series"], { series, last });
  }
}
