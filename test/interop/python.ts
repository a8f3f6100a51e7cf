import { execFile, type ExecFileException } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const requirements = join(here, "requirements.txt");
const script = join(here, "postern_interop.py");
const python = "python3";
const installTimeoutMs = 240_000;
const runTimeoutMs = 120_000;

/** The other implementation: its script, run with exactly the packages that requirements.txt names. */
export interface Interop {
  /** What the command writes to stdout. Rejects, with what it said on stderr, unless it exits with 0. */
  run(args: readonly string[], input?: string): Promise<string>;
}

/**
 * Installs the packages once, in a folder of their own below `POSTERN_CACHE` or `.cache` of the clone.
 * Returns why that cannot be, when there is no Python, no pip or no package index.
 */
export async function prepareInterop(): Promise<Interop | { readonly missing: string }> {
  try {
    const packages = await installedPackages();
    return { run: (args, input) => runScript(packages, args, input) };
  } catch (thrown) {
    return { missing: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

async function installedPackages(): Promise<string> {
  const machine = await execute(python, [
    "-c",
    "import platform, sys; print(sys.version, platform.platform())",
  ]);
  const wanted = await readFile(requirements);
  const id = createHash("sha256").update(wanted).update(machine).digest("hex").slice(0, 16);
  const cache =
    process.env["POSTERN_CACHE"] ?? fileURLToPath(new URL("../../.cache", import.meta.url));
  const packages = join(cache, `interop-${id}`);
  if (existsSync(packages)) return packages;

  await mkdir(cache, { recursive: true });
  const building = `${packages}.${randomBytes(6).toString("hex")}`;
  try {
    await install(building);
    await rename(building, packages);
  } catch (thrown) {
    // Another process may have been faster.
    if (!existsSync(packages)) throw thrown;
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return packages;
}

/** By the machine's own pip, or by that of a virtual environment where the machine has none. */
async function install(folder: string): Promise<void> {
  const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  args.push("--target", folder, "--requirement", requirements);
  if (await works(python, ["-m", "pip", "--version"])) {
    await execute(python, args, { timeoutMs: installTimeoutMs });
    return;
  }
  const environment = `${folder}.venv`;
  try {
    await execute(python, ["-m", "venv", environment], { timeoutMs: installTimeoutMs });
    await execute(join(environment, "bin", "python"), args, { timeoutMs: installTimeoutMs });
  } finally {
    await rm(environment, { recursive: true, force: true });
  }
}

function runScript(packages: string, args: readonly string[], input?: string): Promise<string> {
  const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1", PYTHONUTF8: "1" };
  const options = { timeoutMs: runTimeoutMs, env, ...(input === undefined ? {} : { input }) };
  return execute(python, ["-s", script, ...args], options);
}

interface ExecuteOptions {
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

function execute(
  program: string,
  args: readonly string[],
  { timeoutMs = runTimeoutMs, env = {}, input = "" }: ExecuteOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string): void => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${args.join(" ")}: ${stderr.trim() || error.message}`));
    };
    const options = { env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 2 ** 28 };
    const child = execFile(program, args, options, done);
    // A program that ends before it has read everything says why by its exit status.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

async function works(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await execute(program, args);
    return true;
  } catch {
    return false;
  }
}
