import type { Clock } from "../base/clock.ts";
import type { GatewayName } from "../base/names.ts";
import type { PlacedFrame } from "../mailbox/frame-reader.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { RunPrinter } from "./run-printer.ts";
import { statusLine, type StatusLine } from "./status-line.ts";

/** What is known of a run while nothing comes. */
export interface Standing {
  readonly callee: GatewayName;
  /** Undefined until it has started. */
  readonly running?: {
    readonly toolCalls: number;
    /** The name of the last one, as the peer says it. */
    readonly tool?: string;
    readonly tokens?: number;
  };
}

export interface ProgressOptions {
  readonly callee: GatewayName;
  readonly clock: Clock;
  readonly line: StatusLine;
}

const everyMs = 1000;

/**
 * A run's printer that tells every second how far the run is, on a line of stderr that goes before anything else
 * is printed. Without a terminal there, or with JSON, it is the printer alone.
 */
export function withProgress(
  printer: RunPrinter,
  json: boolean,
  options: Omit<ProgressOptions, "line">,
): RunPrinter & Disposable {
  const hasLine = process.stderr.isTTY && process.env["TERM"] !== "dumb" && !json;
  return hasLine
    ? new ProgressPrinter(printer, { ...options, line: statusLine })
    : Object.assign(printer, { [Symbol.dispose]: () => undefined });
}

export class ProgressPrinter implements RunPrinter, Disposable {
  readonly #printer: RunPrinter;
  readonly #options: ProgressOptions;
  readonly #over = new AbortController();
  #standing: Standing;

  constructor(printer: RunPrinter, options: ProgressOptions) {
    this.#printer = printer;
    this.#options = options;
    this.#standing = { callee: options.callee };
    void this.#tell();
  }

  get midLine(): boolean {
    return this.#printer.midLine;
  }

  frame(frame: PlacedFrame): void {
    this.#standing = after(this.#standing, frame);
    this.#printer.frame(frame);
  }

  end(terminal: TerminalPayload): void {
    this[Symbol.dispose]();
    this.#printer.end(terminal);
  }

  [Symbol.dispose](): void {
    this.#over.abort();
    this.#options.line.clear();
  }

  async #tell(): Promise<void> {
    const { clock, line } = this.#options;
    const { signal } = this.#over;
    const sinceMs = clock.now();
    for (;;) {
      await clock.sleep(everyMs, signal);
      if (signal.aborted) return;
      if (!this.midLine) line.show(progressText(this.#standing, clock.now() - sinceMs));
    }
  }
}

/** What is known of a run after one more frame. */
export function after(before: Standing, frame: PlacedFrame): Standing {
  const { callee, running = { toolCalls: 0 } } = before;
  switch (frame.event) {
    case "started":
      return { callee, running: { toolCalls: 0 } };
    case "toolCall": {
      const { name: tool } = frame.payload;
      return { callee, running: { ...running, toolCalls: running.toolCalls + 1, tool } };
    }
    case "tokenUsage":
      return { callee, running: { ...running, tokens: frame.payload.totalTokens } };
    default:
      return before;
  }
}

/** One line about it; not yet safe for a terminal. */
export function progressText({ callee, running }: Standing, elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1000);
  const minutes = Math.floor(seconds / 60);
  const elapsed = minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
  if (running === undefined) return `waiting for ${callee}... ${elapsed}`;
  const { toolCalls, tool, tokens } = running;
  const parts = [
    `${callee} is running it`,
    ...(tool === undefined ? [] : [`${counted(toolCalls, "tool call")} (${tool})`]),
    ...(tokens === undefined ? [] : [counted(tokens, "token")]),
  ];
  return `${parts.join(", ")}... ${elapsed}`;
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`;
}
