import type { PlacedFrame } from "../mailbox/frame-reader.ts";
import type { RunId } from "../base/names.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import { note } from "./note.ts";
import { jsonLine, safeText } from "./output.ts";
import { statusLine } from "./status-line.ts";

/** Where a run's frames go, in order. */
export interface RunPrinter {
  /** Whether a terminal's cursor stands behind a text whose line has not ended. */
  readonly midLine: boolean;
  frame(frame: PlacedFrame): void;
  /** After the last frame. */
  end(terminal: TerminalPayload): void;
}

export interface RunPrinterOptions {
  readonly runId: RunId;
  /** Every frame as a line of JSON, rather than the text for people. */
  readonly json: boolean;
  /** Takes text that a terminal may see. */
  readonly write: (text: string) => void;
  /** Whether a person reads it, who wants the last line ended. */
  readonly terminal: boolean;
  readonly note: (text: string) => void;
}

/** The printer of this process: results to stdout, notes to stderr. */
export function printerFor(runId: RunId, json: boolean): RunPrinter {
  const { stdout } = process;
  const write = (text: string): void => {
    statusLine.clear();
    stdout.write(text);
  };
  return runPrinter({ runId, json, write, terminal: stdout.isTTY, note });
}

export function runPrinter(options: RunPrinterOptions): RunPrinter {
  return options.json ? new JsonPrinter(options) : new TextPrinter(options);
}

class JsonPrinter implements RunPrinter {
  readonly midLine = false;
  readonly #options: RunPrinterOptions;
  readonly #attempts: Attempts;

  constructor(options: RunPrinterOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options.note);
  }

  frame({ attempt, seq, event, payload, at }: PlacedFrame): void {
    this.#attempts.see(attempt);
    const { runId, write } = this.#options;
    write(`${jsonLine({ runId, attempt, seq, event, payload, at })}\n`);
  }

  end(terminal: TerminalPayload): void {
    noteFailure(terminal, this.#options.note);
  }
}

/** The answer as text: its pieces as they come, or the result where there were none. */
class TextPrinter implements RunPrinter {
  readonly #options: RunPrinterOptions;
  readonly #attempts: Attempts;
  #hasText = false;
  #midLine = false;

  constructor(options: RunPrinterOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options.note);
  }

  get midLine(): boolean {
    return this.#midLine && this.#options.terminal;
  }

  frame(frame: PlacedFrame): void {
    if (this.#attempts.isNew(frame.attempt)) {
      this.#endLine();
      this.#hasText = false;
    }
    this.#attempts.see(frame.attempt);
    switch (frame.event) {
      case "textDelta":
        this.#hasText = true;
        this.#write(frame.payload.text);
        return;
      case "error":
        this.#endLine();
        this.#options.note(`${frame.payload.code}: ${frame.payload.message}`);
        return;
      default:
        return;
    }
  }

  end(terminal: TerminalPayload): void {
    const { result } = terminal;
    if (!this.#hasText && result !== undefined) {
      this.#write(
        typeof result === "string" ? result : `${JSON.stringify(result, undefined, 2)}\n`,
      );
    }
    this.#endLine();
    noteFailure(terminal, this.#options.note);
  }

  #write(text: string): void {
    if (text === "") return;
    this.#midLine = !text.endsWith("\n");
    this.#options.write(safeText(text, { multiline: true }));
  }

  /** What is not read by a person stays exactly what was answered. */
  #endLine(): void {
    if (this.midLine) this.#options.write("\n");
    this.#midLine = false;
  }
}

/** Says when what was shown so far no longer counts. */
class Attempts {
  readonly #tell: (text: string) => void;
  #attempt: number | undefined;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  isNew(attempt: number): boolean {
    return this.#attempt !== undefined && attempt > this.#attempt;
  }

  see(attempt: number): void {
    if (this.isNew(attempt)) {
      this.#tell(
        `attempt ${this.#attempt} was abandoned: what follows is attempt ${attempt}, from its start`,
      );
    }
    this.#attempt = attempt;
  }
}

function noteFailure({ status, error }: TerminalPayload, tell: (text: string) => void): void {
  if (status === "succeeded") return;
  tell(
    `${error?.code ?? status}: the run ended ${status}: ${error?.message ?? "no reason was given"}`,
  );
}
