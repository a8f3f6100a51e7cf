import { resolve } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { AgentName } from "../base/names.ts";
import { execHandler } from "../handlers/exec.ts";
import type { Handler } from "../handlers/handler.ts";
import type { RequestHeaders } from "../handlers/http.ts";
import { moduleHandler } from "../handlers/module.ts";
import type { AgentSettings } from "./agent-config.ts";
import { agentsOf, type Config } from "./config.ts";
import { readHeadersFile } from "./headers-file.ts";
import type { AgentRoute } from "./starter.ts";

/** What handlers are made with, besides what the config says of each. */
export interface AgentSurroundings {
  /** The folder of the gateway: programs run in it, and relative paths of the config begin there. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What requests to each agent of a config run. */
export async function agentRoutes(
  config: Config,
  around: AgentSurroundings,
): Promise<ReadonlyMap<AgentName, AgentRoute>> {
  const routes = new Map<AgentName, AgentRoute>();
  for (const settings of agentsOf(config).values()) {
    const { name, maxRunMs, onCrash } = settings;
    routes.set(name, { handler: await handlerOf(settings, around), maxRunMs, onCrash });
  }
  return routes;
}

async function handlerOf(
  settings: AgentSettings,
  { home, env, clock, log }: AgentSurroundings,
): Promise<Handler> {
  switch (settings.kind) {
    case "exec": {
      const { command, output } = settings;
      return execHandler({ command, output, cwd: home, env, clock, log });
    }
    case "http": {
      const { url, headersFile, output } = settings;
      const readHeaders = (): RequestHeaders =>
        headersFile === undefined ? {} : readHeadersFile(resolve(home, headersFile));
      // Node's module for it is slow to load, and every command that opens a gateway would pay for it.
      const { httpHandler } = await import("../handlers/http.ts");
      return httpHandler({ url, output, readHeaders, clock, log });
    }
    case "module":
      return moduleHandler({ file: resolve(home, settings.file), clock, log });
  }
}
