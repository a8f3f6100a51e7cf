import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { PosternError } from "../../base/errors.ts";

/** A process of the demo that has ended. */
export interface ChildEnd {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Processes of the demo: with this Node, in this environment. None outlives what it was started for. */
export class Children implements Disposable {
  readonly #program: string;
  readonly #signal: AbortSignal;
  readonly #over = new AbortController();

  /** `program`: the script of the command line. All are ended when `signal` aborts. */
  constructor(program: string, signal: AbortSignal) {
    this.#program = program;
    this.#signal = AbortSignal.any([signal, this.#over.signal]);
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }

  /** Runs `postern` to its end. Throws `INTERNAL` with what it said when it ends otherwise than by `expected`. */
  async postern(home: string, args: readonly string[], expected = 0): Promise<string> {
    const { status, stdout, stderr } = await this.start(home, args);
    if (status === expected) return stdout;
    const command = `postern ${args.join(" ")}`;
    throw new PosternError(
      "INTERNAL",
      `\`${command}\` ended with ${status} in the demo: ${stderr.trim()}`,
    );
  }

  /** Runs `postern` to its end, however it ends. */
  start(
    home: string,
    args: readonly string[],
    onText?: (chunk: string) => void,
  ): Promise<ChildEnd> {
    return this.node(this.#program, [...args, "--home", home, "--log-level", "error"], onText);
  }

  /** Runs a script to its end; what comes on stdout is handed on as it comes. Rejects when it is aborted. */
  async node(
    script: string,
    args: readonly string[],
    onText?: (chunk: string) => void,
  ): Promise<ChildEnd> {
    const child = spawn(process.execPath, [script, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      signal: this.#signal,
    });
    if (onText !== undefined) child.stdout.setEncoding("utf8").on("data", onText);
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    return { status: child.exitCode ?? -1, stdout, stderr };
  }
}
