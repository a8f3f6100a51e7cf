import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

/** Whether util-linux's script(1) is here, which runs a command on a terminal of its own. */
export const hasTerminal = String(spawnSync("script", ["--version"]).stdout).includes("util-linux");

if (!hasTerminal)
  process.stdout.write("SKIPPED: what happens on a terminal (it takes script of util-linux)\n");

/** A command at a terminal: stdin, stdout and stderr are one. */
export interface AtTerminal {
  /** All that the terminal was sent so far, with `\r\n` as line ends. */
  seen(): string;
  /** Resolves once it was sent `wanted`; rejects when the command ends without it. */
  sees(wanted: string): Promise<void>;
  types(text: string): void;
  readonly ended: Promise<number | null>;
}

/** `command` is for a shell. */
export function atTerminal(command: string, cwd: string, env: NodeJS.ProcessEnv): AtTerminal {
  const args = ["--quiet", "--return", "--flush", "--command", command, "/dev/null"];
  const child = spawn("script", args, { cwd, env, stdio: ["pipe", "pipe", "ignore"] });
  let output = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk: string) => {
    output += chunk;
  });
  const closed = once(child, "close");
  let isOver = false;
  const ended = closed.then(() => {
    isOver = true;
    return child.exitCode;
  });
  return {
    seen: () => output,
    sees: async (wanted) => {
      while (!output.includes(wanted)) {
        if (isOver) throw new Error(`it ended without ${JSON.stringify(wanted)}: ${output}`);
        await delay(10);
      }
    },
    types: (text) => void child.stdin.write(text),
    ended,
  };
}
