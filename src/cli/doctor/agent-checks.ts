import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { PosternError } from "../../base/errors.ts";
import type { AgentSettings } from "../../gateway/agent-config.ts";
import { agentsOf, type Config } from "../../gateway/config.ts";
import { readHeadersFile } from "../../gateway/headers-file.ts";
import { requireModuleFile } from "../../gateway/module-file.ts";
import { findings, ok, warning, type Finding } from "./finding.ts";

/** Where agents run: paths of the config begin in `home`. */
interface Surroundings {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Whether what requests run could be started; nothing is. */
export async function checkAgents(
  config: Config,
  around: Surroundings,
): Promise<readonly Finding[]> {
  const agents = [...agentsOf(config).values()];
  if (agents.length === 0) return [ok("agents", "none: this gateway only asks")];
  const found = agents.map((agent) => {
    const check = `agent ${agent.name}`;
    return findings(check, () => checkAgent(check, agent, around));
  });
  return (await Promise.all(found)).flat();
}

function checkAgent(check: string, agent: AgentSettings, { home, env }: Surroundings): Finding {
  switch (agent.kind) {
    case "exec":
      return ok(check, requireProgram(agent.command[0] ?? "", home, env["PATH"] ?? ""));
    case "http":
      return checkUrl(check, agent.url, agent.headersFile, home);
    case "module": {
      const file = path.resolve(home, agent.file);
      requireModuleFile(file);
      return ok(check, file);
    }
  }
}

function checkUrl(
  check: string,
  url: string,
  headersFile: string | undefined,
  home: string,
): Finding {
  if (headersFile === undefined) return ok(check, url);
  readHeadersFile(path.resolve(home, headersFile));
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || isThisMachine(hostname)) return ok(check, `${url}, with headers`);
  const what = `${url} gets the headers of ${headersFile}, and everybody on the way may read them`;
  return warning(check, what, "use https");
}

/** A host as URLs spell it. */
function isThisMachine(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}

/** The file that starting `program` in `cwd` would run. */
function requireProgram(program: string, cwd: string, searched: string): string {
  const folders = program.includes("/") ? [""] : searched.split(path.delimiter);
  const found = folders.map((folder) => path.resolve(cwd, folder, program)).find(isExecutable);
  if (found !== undefined) return found;
  const what = `${JSON.stringify(program)} is no program that can be started: correct "exec" in config.json`;
  throw new PosternError("CONFIG_INVALID", what);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
