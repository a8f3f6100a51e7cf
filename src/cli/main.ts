// Imports nothing of the project or of npm before the version of Node is known to suit it.
import module from "node:module";
import os from "node:os";
import path from "node:path";

const leastNodeMajor = 24;

/** The program: everything that `bin/postern` does. */
export async function main(): Promise<void> {
  if (Number.parseInt(process.versions.node, 10) < leastNodeMajor) {
    process.stderr.write(
      `postern: USAGE: this is Node ${process.versions.node}, and Postern needs Node ${leastNodeMajor} or newer\n`,
    );
    process.exitCode = 2;
    return;
  }
  enableCompileCache();
  const { reportUncaught, runCommandLine } = await import("./run.ts");
  const { limits } = await import("../base/limits.ts");
  process.on("uncaughtException", (thrown) => {
    if (reportUncaught(thrown)) process.exit();
  });
  await runCommandLine(process.argv.slice(2), import.meta.dirname);
  // A timer or a connection that was left open must not keep a cron job from ending.
  setTimeout(() => process.exit(), limits.exitGraceMs).unref();
}

/**
 * Halves the time to start. Compiled code is as trusted as the program: it lies in the user's own folder, not
 * in the shared temporary one that Node would choose.
 */
function enableCompileCache(): void {
  try {
    const caches = process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache");
    module.enableCompileCache(path.join(caches, "postern", "compiled"));
  } catch {
    // There is no home folder; it starts a little slower.
  }
}
