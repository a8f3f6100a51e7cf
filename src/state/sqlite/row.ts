import type { SQLOutputValue } from "node:sqlite";
import { PosternError } from "../../base/errors.ts";

/** One row as the database has it. Every method throws `STATE_DAMAGED` when the column is not what it should be. */
export class Row {
  readonly #columns: Record<string, SQLOutputValue>;

  constructor(columns: Record<string, SQLOutputValue>) {
    this.#columns = columns;
  }

  isNull(name: string): boolean {
    return this.#columns[name] === null;
  }

  text(name: string): string {
    const value = this.#columns[name];
    return typeof value === "string" ? value : damaged(name, "a text");
  }

  textOrNull(name: string): string | null {
    return this.isNull(name) ? null : this.text(name);
  }

  /** A text that `is` accepts: a name of the domain. */
  name<T extends string>(name: string, is: (text: string) => text is T): T {
    const value = this.text(name);
    return is(value) ? value : damaged(name, "a name of its kind");
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.text(name);
    return (
      choices.find((choice) => choice === value) ?? damaged(name, `one of ${choices.join(", ")}`)
    );
  }

  integer(name: string): number {
    const value = this.#columns[name];
    return typeof value === "number" && Number.isSafeInteger(value)
      ? value
      : damaged(name, "an integer");
  }

  integerOrNull(name: string): number | null {
    return this.isNull(name) ? null : this.integer(name);
  }

  boolean(name: string): boolean {
    return this.integer(name) !== 0;
  }

  bytes(name: string): Uint8Array {
    const value = this.#columns[name];
    return value instanceof Uint8Array ? value : damaged(name, "bytes");
  }

  bytesOrNull(name: string): Uint8Array | null {
    return this.isNull(name) ? null : this.bytes(name);
  }

  /** What `parse` makes of a text; undefined is damage. */
  parsed<T>(name: string, parse: (text: string) => T | undefined): T {
    return parse(this.text(name)) ?? damaged(name, "in its form");
  }
}

function damaged(name: string, shape: string): never {
  throw new PosternError(
    "STATE_DAMAGED",
    `column ${name} of the state is not ${shape}: bring the file back from its last good copy and run \`postern state recover\``,
  );
}
