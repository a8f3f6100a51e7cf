import { PosternError } from "../base/errors.ts";

/** Counts what one run puts out: past the most it is an error, never a truncation. */
export class OutputCount {
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Throws `HANDLER_OUTPUT`. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#mostBytes) return;
    const what = `the agent put out more than ${this.#mostBytes} bytes, the most of one run`;
    throw new PosternError("HANDLER_OUTPUT", what);
  }
}
