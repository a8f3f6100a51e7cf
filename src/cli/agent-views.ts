import type { AgentSettings } from "../gateway/agent-config.ts";
import { formatDuration } from "./duration.ts";

/** An agent as it is printed. What it runs stands under the name that its kind has in config.json. */
export function agentView(settings: AgentSettings) {
  const { name, kind, onCrash, maxRunMs, description = null } = settings;
  const maxRun = formatDuration(maxRunMs);
  return { name, kind, ...targetView(settings), onCrash, maxRun, description };
}

function targetView(settings: AgentSettings) {
  switch (settings.kind) {
    case "exec":
      return { exec: settings.command, output: settings.output };
    case "http": {
      const { url, headersFile = null, output } = settings;
      return { http: url, headersFile, output };
    }
    case "module":
      return { module: settings.file };
  }
}

/** What requests to an agent run, in a few words. */
export function targetText(settings: AgentSettings): string {
  switch (settings.kind) {
    case "exec":
      return JSON.stringify(settings.command);
    case "http":
      return settings.url;
    case "module":
      return settings.file;
  }
}
