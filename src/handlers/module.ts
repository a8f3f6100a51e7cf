import { pathToFileURL } from "node:url";
import { inspect, types } from "node:util";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { printable } from "../base/printable.ts";
import type { JsonValue } from "../protocol/fields.ts";
import type { HandlerEvent } from "../protocol/frame.ts";
import { emitAll } from "./emit.ts";
import { EventReader, parseJson, unusable } from "./event-reader.ts";
import type { Emit, Handler, HandlerResult, Work } from "./handler.ts";
import { OutputCount } from "./output-count.ts";
import { requestDocument, type RequestDocument } from "./request-document.ts";
import { stopReason, unlessStopped } from "./stop.ts";

/**
 * What the default export of an agent's module is: an async generator function that yields events and returns
 * the result. Without a result, the texts together are it (see `EventReader`). What it yields and returns is
 * taken as `JSON.stringify` would write it. `signal` aborts when the run is to stop.
 */
export type AgentModule = (
  request: RequestDocument,
  context: { readonly signal: AbortSignal },
) => AsyncGenerator<HandlerEvent, JsonValue | undefined, void>;

export interface ModuleOptions {
  /** An absolute path. */
  readonly file: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits?: ModuleLimits;
}

export type ModuleLimits = Readonly<
  Record<
    "maxRunOutputBytes" | "maxFrameBytes" | "handlerKillGraceMs" | "handlerFailureLogBytes",
    number
  >
>;

/**
 * Runs an async generator of a module in this very process, which imports it once, for its first run.
 *
 * It has all that the gateway has: its keys, its memory, its event loop. Code that never yields to the event
 * loop stops every run and the gateway with it, an error that nobody catches ends the process, and nothing
 * can end a run but its own consent: told to stop, it has a grace period, after which the run ends without it
 * while its code goes on unheard. What is not your own code belongs into a process of its own: use exec.
 *
 * Rejects with `HANDLER_START` when the module cannot be imported or exports no such function by default,
 * `HANDLER_FAILED` when it throws, whatever that is, `HANDLER_OUTPUT` when what it yields or returns is too
 * much or not what it should be, and with the signal's reason when it was told to stop.
 */
export function moduleHandler(options: ModuleOptions): Handler {
  return {
    run: async (work, emit, signal) => {
      if (signal.aborted) throw stopReason(signal);
      const agent = await unlessStopped(load(options, work), signal);
      return new ModuleRun(options, work, emit, signal).run(agent);
    },
  };
}

/** Node imports a file once, however often it is asked to. */
async function load(
  { file, log, limits: bounds = limits }: ModuleOptions,
  work: Work,
): Promise<AgentModule> {
  try {
    const loaded: unknown = await import(pathToFileURL(file).href);
    if (hasDefault(loaded) && isAgentModule(loaded.default)) return loaded.default;
    throw new TypeError("its default export is no async generator function");
  } catch (cause) {
    const { runId, agent } = work;
    log.error({ runId, agent, file, reason: said(cause, bounds) }, "handler not started");
    const message = `the module of agent ${agent} cannot be used: its operator finds why in the log`;
    throw new PosternError("HANDLER_START", message, { cause });
  }
}

function hasDefault(loaded: unknown): loaded is { readonly default: unknown } {
  return typeof loaded === "object" && loaded !== null && "default" in loaded;
}

/** What it yields and returns is checked as it comes. */
function isAgentModule(value: unknown): value is AgentModule {
  return types.isGeneratorFunction(value) && types.isAsyncFunction(value);
}

/** One generator and what becomes of it. */
class ModuleRun {
  readonly #options: ModuleOptions;
  readonly #limits: ModuleLimits;
  readonly #work: Work;
  readonly #emit: Emit;
  readonly #signal: AbortSignal;
  /** Tells the module to stop: because the run was told to, or because what it yielded cannot be used. */
  readonly #stop = new AbortController();
  readonly #events: EventReader;
  readonly #count: OutputCount;
  #yielded = 0;

  constructor(options: ModuleOptions, work: Work, emit: Emit, signal: AbortSignal) {
    this.#options = options;
    this.#limits = options.limits ?? limits;
    this.#work = work;
    this.#emit = emit;
    this.#signal = signal;
    this.#events = new EventReader(this.#limits.maxFrameBytes);
    this.#count = new OutputCount(this.#limits.maxRunOutputBytes);
  }

  async run(agent: AgentModule): Promise<HandlerResult> {
    const generator = this.#start(agent);
    try {
      for (;;) {
        const step = await this.#next(generator);
        if (step.done === true) return this.#resultOf(step.value);
        await emitAll(this.#read(step.value), this.#emit, this.#signal);
      }
    } catch (thrown) {
      await this.#end(generator, thrown);
      throw thrown;
    }
  }

  #start(agent: AgentModule): AgentGenerator {
    // A copy of its own: what it does to it is seen by nobody else.
    const request = structuredClone(requestDocument(this.#work));
    try {
      return agent(request, { signal: this.#stop.signal });
    } catch (thrown) {
      throw this.#failed(thrown);
    }
  }

  async #next(generator: AgentGenerator): Promise<IteratorResult<unknown, unknown>> {
    try {
      return await unlessStopped(generator.next(), this.#signal);
    } catch (thrown) {
      throw this.#signal.aborted ? stopReason(this.#signal) : this.#failed(thrown);
    }
  }

  #read(value: unknown): Iterable<HandlerEvent> {
    this.#yielded += 1;
    try {
      return this.#events.read(this.#json(value));
    } catch (thrown) {
      throw unusable(`value ${this.#yielded} of the module`, thrown);
    }
  }

  #resultOf(value: unknown): HandlerResult {
    if (value === undefined) return this.#events.result();
    try {
      return { result: this.#json(value) };
    } catch (thrown) {
      throw unusable("the result of the module", thrown);
    }
  }

  /** The value that a line with it would hold. */
  #json(value: unknown): JsonValue {
    const text = jsonText(value);
    this.#count.add(Buffer.byteLength(text));
    return parseJson(text);
  }

  /** Waits for the generator to come to its end, and goes on without it after the grace period. */
  async #end(generator: AgentGenerator, reason: unknown): Promise<void> {
    const { runId, agent } = this.#work;
    const { clock, log } = this.#options;
    const ended = new AbortController();
    this.#stop.abort(reason);
    // Takes its turn behind a `next` that is still awaited, whose value nobody hears any more.
    void generator
      .return(undefined)
      .catch((thrown: unknown) =>
        log.debug({ runId, agent, reason: said(thrown, this.#limits) }, "handler stopped"),
      )
      .finally(() => ended.abort());
    await clock.sleep(this.#limits.handlerKillGraceMs, ended.signal);
    if (ended.signal.aborted) return;
    log.warn({ runId, agent }, "a handler does not stop: its run ends without it");
  }

  #failed(thrown: unknown): PosternError {
    const { runId, agent } = this.#work;
    this.#options.log.warn({ runId, agent, reason: said(thrown, this.#limits) }, "handler failed");
    const message = `the module of agent ${agent} failed: its operator finds why in the log`;
    return new PosternError("HANDLER_FAILED", message, { cause: thrown });
  }
}

/** What is yielded and returned is the module's word until it was read. */
type AgentGenerator = AsyncGenerator<unknown, unknown, void>;

/** Throws `SyntaxError` for what has no form in JSON. */
function jsonText(value: unknown): string {
  try {
    const text: unknown = JSON.stringify(value);
    if (typeof text === "string") return text;
  } catch (cause) {
    throw new SyntaxError("it has no form in JSON", { cause });
  }
  throw new SyntaxError("it has no form in JSON");
}

/** What was thrown, as far as the log repeats it; it may throw itself when it is looked at. */
function said(thrown: unknown, { handlerFailureLogBytes }: ModuleLimits): string {
  try {
    return printable(inspect(thrown)).slice(0, handlerFailureLogBytes);
  } catch {
    return "what cannot be shown";
  }
}
