import { Command } from "@oclif/core/command";
import { boolean, option, string } from "@oclif/core/flags";
import { PosternError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { interruptedStatus } from "./exit-status.ts";
import { createLogger, logLevels, type LogLevel } from "./logger.ts";
import { jsonLine, safeText } from "./output.ts";
import { onUnwritable } from "./standard-output.ts";

/** The flags that every command takes, as `parse` returns them. */
interface GlobalFlags {
  readonly home?: string | undefined;
  readonly json: boolean;
  readonly "log-level": LogLevel;
}

/** What the global flags ask for. */
export interface GlobalOptions {
  /** The folder that holds one gateway. */
  readonly home: string;
  /** Print data as JSON; a stream prints one object a line. */
  readonly json: boolean;
  readonly log: Logger;
}

/**
 * What all commands share. A command parses its flags, calls the gateway and prints; a failure is thrown, and
 * `run.ts` turns it into a line on stderr and an exit status. `this.exit(status)` ends with another status.
 */
export abstract class BaseCommand extends Command {
  static override readonly baseFlags = {
    home: string({
      summary: "Folder that holds the gateway [default: the platform's config folder].",
      env: "POSTERN_HOME",
      helpGroup: "GLOBAL",
      helpValue: "DIR",
      parse: async (folder) => requireFolderName(folder),
    }),
    json: boolean({ summary: "Print data as JSON.", helpGroup: "GLOBAL" }),
    "log-level": option({
      summary: "Least severe log lines to write to stderr.",
      options: logLevels,
      default: "warn" satisfies LogLevel,
      env: "POSTERN_LOG",
      helpGroup: "GLOBAL",
    })(),
  };

  #interrupt: AbortController | undefined;

  protected globalOptions(flags: GlobalFlags): GlobalOptions {
    return {
      home: flags.home ?? this.config.configDir,
      json: flags.json,
      log: createLogger(flags["log-level"]),
    };
  }

  /**
   * Aborts at the first SIGINT, for what has something to put in order first, and when nobody gets to read stdout any
   * more. A second SIGINT kills as usual.
   */
  protected interruption(): AbortSignal {
    if (this.#interrupt === undefined) {
      const interrupt = new AbortController();
      process.once("SIGINT", () => interrupt.abort());
      onUnwritable(() => interrupt.abort());
      this.#interrupt = interrupt;
    }
    return this.#interrupt.signal;
  }

  /** Prints lines for people: text of several lines, safe for a terminal, and a line end. */
  protected print(text: string): void {
    this.write(`${text}\n`);
  }

  /** Prints a piece of a text for people, safe for a terminal, as it is: a stream's. */
  protected write(text: string): void {
    process.stdout.write(safeText(text, { multiline: true }));
  }

  /** Prints one line of JSON. */
  protected printJson(value: object): void {
    process.stdout.write(`${jsonLine(value)}\n`);
  }

  /** Whatever an interrupted command fails with, its interruption is the reason. */
  protected override async catch(error: unknown): Promise<never> {
    if (this.#interrupt?.signal.aborted === true) this.exit(interruptedStatus);
    throw error;
  }
}

/** An empty text, as an unset variable of a script leaves it, would name the present folder. */
function requireFolderName(folder: string): string {
  if (folder !== "") return folder;
  throw new PosternError("USAGE", "--home names no folder: leave it out, or say which");
}
