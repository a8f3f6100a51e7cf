import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { printable } from "../base/printable.ts";
import type { HandlerEvent } from "../protocol/frame.ts";
import { emitAll } from "./emit.ts";
import { environmentOf } from "./exec-environment.ts";
import type { Emit, Handler, HandlerResult, Work } from "./handler.ts";
import { OutputCount } from "./output-count.ts";
import { outputReader, type OutputKind, type OutputReader } from "./output-reader.ts";
import { groupStands, stopGroup } from "./process-group.ts";
import { requestDocument } from "./request-document.ts";
import { stopReason } from "./stop.ts";

export interface ExecOptions {
  /** The program and its arguments. No shell reads them. */
  readonly command: readonly string[];
  /** What stdout is. */
  readonly output: OutputKind;
  /** The folder that it runs in. A program named by a relative path is looked for from there. */
  readonly cwd: string;
  /** The environment of this process; the program gets PATH, HOME, LANG and TZ of it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits?: ExecLimits;
}

export type ExecLimits = Readonly<
  Record<
    | "maxRunOutputBytes"
    | "maxFrameBytes"
    | "maxHandlerLogBytes"
    | "handlerFailureLogBytes"
    | "handlerKillGraceMs"
    | "handlerDrainMs",
    number
  >
>;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * Runs a program for each request, in a process group of its own. It gets the request as one JSON document
 * on stdin and answers on stdout (see `output-reader.ts`); stderr goes to the log. When the program has
 * exited the run is over: processes that it left behind in its group are ended.
 * The three streams are sockets, which cannot be opened by name: a script writes to `>&2`, not `/dev/stderr`.
 *
 * Rejects with `HANDLER_START` when the program cannot be started, `HANDLER_FAILED` when it ends with
 * another status than 0 or by a signal, `HANDLER_OUTPUT` when its output is too much or not what it should
 * be, and with the signal's reason when it was told to stop; always only once the program is gone.
 */
export function execHandler(options: ExecOptions): Handler {
  return {
    run: async (work, emit, signal) => {
      if (signal.aborted) throw stopReason(signal);
      const { child, exited } = await start(options, work);
      return new ExecRun(options, work, emit, child, exited).run(signal);
    },
  };
}

/** How a process ended. */
type ExitStatus = { readonly code: number } | { readonly signal: string };

async function start(
  options: ExecOptions,
  work: Work,
): Promise<{ child: Child; exited: Promise<ExitStatus> }> {
  const [program, ...args] = options.command;
  try {
    if (program === undefined) throw new Error("the command is empty");
    const child = spawn(program, args, {
      env: environmentOf(work, options.env),
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      cwd: options.cwd,
    });
    const exited = new Promise<ExitStatus>((resolve) => {
      child.once("exit", (code, signal) =>
        resolve(code === null ? { signal: signal ?? "unknown" } : { code }),
      );
    });
    await once(child, "spawn");
    // A kill that fails is reported as an event, and would end this process if nobody listened.
    child.on("error", (error) =>
      options.log.warn({ runId: work.runId, code: codeOf(error) }, "handler process"),
    );
    return { child, exited };
  } catch (cause) {
    const code = codeOf(cause);
    options.log.error(
      { runId: work.runId, agent: work.agent, program, cwd: options.cwd, code },
      "handler not started",
    );
    // This travels to the caller: it names the agent, and leaves the path to the log.
    const message = `the program of agent ${work.agent} could not be started (${code}): its operator finds it in the log`;
    throw new PosternError("HANDLER_START", message, { cause });
  }
}

/** One process and what becomes of it. */
class ExecRun {
  readonly #options: ExecOptions;
  readonly #limits: ExecLimits;
  readonly #work: Work;
  readonly #emit: Emit;
  readonly #child: Child;
  readonly #exited: Promise<ExitStatus>;
  readonly #reader: OutputReader;
  readonly #count: OutputCount;
  /** Aborted by the first failure: then nobody waits any more for an event to be taken. */
  readonly #stopped = new AbortController();
  #failure: { readonly reason: unknown } | undefined;
  #stopping: Promise<void> | undefined;
  #groupEnd: Promise<void> | undefined;
  /** Changes with everything that happens to the output, and is odd while an event is being taken. */
  #steps = 0;
  #stderrTail: Uint8Array = new Uint8Array();

  constructor(
    options: ExecOptions,
    work: Work,
    emit: Emit,
    child: Child,
    exited: Promise<ExitStatus>,
  ) {
    this.#options = options;
    this.#limits = options.limits ?? limits;
    this.#work = work;
    this.#emit = emit;
    this.#child = child;
    this.#exited = exited;
    this.#reader = outputReader(options.output, this.#limits.maxFrameBytes);
    this.#count = new OutputCount(this.#limits.maxRunOutputBytes);
  }

  async run(signal: AbortSignal): Promise<HandlerResult> {
    const onAbort = (): void => this.#stop(stopReason(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      return await this.#follow();
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#child.stdin.destroy();
    }
  }

  async #follow(): Promise<HandlerResult> {
    // A program need not read its input.
    this.#child.stdin.on("error", () => undefined);
    this.#child.stdin.end(`${JSON.stringify(requestDocument(this.#work))}\n`);
    const read = Promise.all([this.#readStdout(), this.#readStderr()]);
    const status = await this.#exited;
    this.#forgetGroupIfGone();
    await this.#drain(read);
    await this.#endGroup();
    await this.#stopping;
    if (this.#failure === undefined) this.#requireSuccess(status);
    if (this.#failure === undefined) await this.#take(() => this.#reader.end());
    if (this.#failure !== undefined) throw this.#failure.reason;
    return this.#reader.result();
  }

  async #readStdout(): Promise<void> {
    await eachChunk(this.#child.stdout, async (chunk) => {
      this.#steps += 1;
      // What a program says while it is being stopped is read, so that it can end in peace, and dropped.
      if (this.#failure === undefined) await this.#take(() => this.#read(chunk));
      this.#steps += 1;
    });
  }

  #read(chunk: Uint8Array): Iterable<HandlerEvent> {
    this.#count.add(chunk.length);
    return this.#reader.read(chunk);
  }

  /** Hands events on; what is wrong with them stops the run. */
  async #take(events: () => Iterable<HandlerEvent>): Promise<void> {
    try {
      await emitAll(events(), this.#emit, this.#stopped.signal);
    } catch (thrown) {
      this.#stop(thrown);
    }
  }

  async #readStderr(): Promise<void> {
    const { log } = this.#options;
    const { runId, agent } = this.#work;
    const decoder = new TextDecoder();
    let unfinished = "";
    let left = this.#limits.maxHandlerLogBytes;
    const say = (line: string): void =>
      log.info({ runId, agent, line: printable(line) }, "handler stderr");
    await eachChunk(this.#child.stderr, (chunk) => {
      const tailBytes = this.#limits.handlerFailureLogBytes;
      this.#stderrTail = Buffer.concat([this.#stderrTail, chunk]).subarray(-tailBytes);
      if (left === 0) return;
      const lines = (unfinished + decoder.decode(chunk.subarray(0, left), { stream: true })).split(
        "\n",
      );
      unfinished = lines.pop() ?? "";
      for (const line of lines) say(line);
      left = Math.max(0, left - chunk.length);
      if (left === 0)
        log.warn({ runId, agent }, "handler stderr is too much: the rest is left out");
    });
    if (unfinished !== "") say(unfinished);
  }

  /**
   * The program has exited, and what it wrote is read to its end. A process that left its group may hold
   * the pipes open for ever: they count as ended once nothing has come for a while.
   */
  async #drain(read: Promise<unknown>): Promise<void> {
    const over = new AbortController();
    void read.then(() => over.abort());
    while (!over.signal.aborted) {
      const steps = this.#steps;
      await this.#options.clock.sleep(this.#limits.handlerDrainMs, over.signal);
      this.#forgetGroupIfGone();
      if (steps === this.#steps && steps % 2 === 0) this.#closeOutput();
    }
    await read;
  }

  #stop(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    this.#stopped.abort();
    this.#stopping = this.#endGroup().then(async () => {
      await this.#exited;
      this.#closeOutput();
    });
  }

  /** Once: a second SIGTERM means haste to many programs. */
  async #endGroup(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined) return;
    this.#groupEnd ??= stopGroup(pid, this.#limits.handlerKillGraceMs, this.#options.clock);
    await this.#groupEnd;
  }

  /** What it put out may take hours to be taken: by then another group may have the number of one that is gone. */
  #forgetGroupIfGone(): void {
    const { pid } = this.#child;
    if (pid === undefined || !groupStands(pid)) this.#groupEnd ??= Promise.resolve();
  }

  #closeOutput(): void {
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  #requireSuccess(status: ExitStatus): void {
    if ("code" in status && status.code === 0) return;
    const { runId, agent } = this.#work;
    const how = "code" in status ? `with exit status ${status.code}` : `by ${status.signal}`;
    const stderr = printable(new TextDecoder().decode(this.#stderrTail));
    this.#options.log.warn({ runId, agent, ...status, stderr }, "handler failed");
    const message = `the program of agent ${agent} ended ${how}: its operator finds its stderr in the log`;
    this.#failure = { reason: new PosternError("HANDLER_FAILED", message) };
  }
}

/** Reads until the end, or until the stream is destroyed; the next chunk is read once `take` has settled. */
async function eachChunk(
  stream: Readable,
  take: (chunk: Uint8Array) => Promise<void> | void,
): Promise<void> {
  try {
    for await (const chunk of stream) {
      if (chunk instanceof Uint8Array) await take(chunk);
    }
  } catch {
    // Destroyed, or broken: there is no more to read either way.
  }
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return "unknown";
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : thrown.message;
}
