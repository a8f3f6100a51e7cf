import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { atTerminal, type AtTerminal } from "./terminal.ts";

const root = path.join(import.meta.dirname, "../../..");
const program = path.join(root, "bin", "postern");

/** A command that has ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that may still run. */
export interface Started {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly ended: Promise<Ended>;
  /** Resolves once `wanted` has come on stdout; rejects when the command ends without it. */
  readonly says: (wanted: string) => Promise<void>;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** A user of the command line: a HOME of their own, and the built program. */
export class User {
  readonly folder: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(env: Readonly<Record<string, string>> = {}) {
    if (!existsSync(path.join(root, "dist")))
      throw new Error("there is no dist: run `npm run build`");
    this.folder = mkdtempSync(path.join(os.tmpdir(), "postern-cli-"));
    this.#env = env;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  run(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  start(args: readonly string[], options: CliOptions = {}): Started {
    return this.#spawn(process.execPath, [program, ...args], options);
  }

  /** Runs a script of bash, in which the program is `postern`. */
  bash(script: string, options: CliOptions = {}): Promise<Ended> {
    return this.#spawn("bash", ["-c", script], options).ended;
  }

  /** Runs the program at a terminal, where `hasTerminal`. */
  atTerminal(args: readonly string[]): AtTerminal {
    const words = ["postern", ...args].map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
    return atTerminal(words.join(" "), this.folder, this.#environment());
  }

  #environment(): NodeJS.ProcessEnv {
    const programs = [path.dirname(program), path.dirname(process.execPath), process.env["PATH"]];
    return {
      PATH: programs.join(path.delimiter),
      HOME: this.folder,
      XDG_CACHE_HOME: path.join(os.tmpdir(), "postern-cli-cache"),
      AWS_EC2_METADATA_DISABLED: "true",
      ...this.#env,
    };
  }

  #spawn(command: string, args: readonly string[], options: CliOptions): Started {
    const { env = {}, stdin = "" } = options;
    const child = spawn(command, args, {
      cwd: this.folder,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...this.#environment(), ...env },
    });
    // A command that ends before it has read everything is no failure of the test.
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
    return { child, ended: endOf(child), says: (wanted) => outputOf(child, wanted) };
  }
}

async function endOf(child: Started["child"]): Promise<Ended> {
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    child.exitCode === null && child.signalCode === null ? once(child, "close") : undefined,
  ]);
  return { status: child.exitCode, signal: child.signalCode, stdout, stderr };
}

function outputOf(child: Started["child"], wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += String(chunk);
      if (said.includes(wanted)) resolve();
    });
    child.once("close", () =>
      reject(new Error(`it ended without ${JSON.stringify(wanted)}: ${said}`)),
    );
  });
}
