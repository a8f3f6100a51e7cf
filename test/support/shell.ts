import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

const program = join(import.meta.dirname, "../../bin/postern");

export interface ShellEnded {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A shell that finds the built program, and what is put beside it, as the documents' lines expect to. */
export class Shell {
  readonly #bin: string;
  readonly #env: Readonly<Record<string, string | undefined>>;

  /** `folder` is the user's HOME; it is there already. */
  constructor(folder: string) {
    this.#bin = join(folder, "bin");
    mkdirSync(this.#bin);
    symlinkSync(program, join(this.#bin, "postern"));
    const path = [this.#bin, dirname(process.execPath), process.env["PATH"]];
    this.#env = { PATH: path.join(delimiter), HOME: folder };
  }

  /** A program of this name that does no more than `script` says. */
  stub(name: string, script: string): void {
    const path = join(this.#bin, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }

  run(script: string, env: Readonly<Record<string, string>> = {}): Promise<ShellEnded> {
    const { promise, resolve } = Promise.withResolvers<ShellEnded>();
    const options = { env: { ...this.#env, ...env } };
    const child = execFile("sh", ["-c", script], options, (_, stdout, stderr) =>
      resolve({ status: child.exitCode ?? -1, stdout, stderr }),
    );
    return promise;
  }
}
