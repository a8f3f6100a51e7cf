import path from "node:path";
import { string } from "@oclif/core/args";
import { option, string as stringFlag } from "@oclif/core/flags";
import { PosternError } from "../../../base/errors.ts";
import { parseAgentName } from "../../../base/names.ts";
import { agentSettings, type AgentConfig } from "../../../gateway/agent-config.ts";
import { splitCommandLine } from "../../../gateway/command-line.ts";
import { readHeadersFile } from "../../../gateway/headers-file.ts";
import { openHome, updateConfig } from "../../../gateway/home.ts";
import { requireModuleFile } from "../../../gateway/module-file.ts";
import type { OutputKind } from "../../../handlers/output-reader.ts";
import { targetText } from "../../agent-views.ts";
import { BaseCommand } from "../../base-command.ts";
import { duration } from "../../duration.ts";

const kinds = ["exec", "http", "module"];

export default class AgentsAdd extends BaseCommand {
  static override readonly summary = "Say what requests to one agent run.";
  static override readonly description =
    "--exec: a program, started without a shell in the folder of the gateway for each request, which it gets as JSON on stdin; it answers on stdout. --http: a URL to which each request is POSTed as JSON, straight and without following redirects; it answers in the body of its response. With --output jsonl each line of the answer is an event; otherwise all of it is plain text. --module: an ES module whose default export is an async generator function that yields events. It runs in the gateway's own process, with all that this can do: for what is not your own code use --exec. Peers may ask an agent once it is granted to them.";
  static override readonly examples = [
    "<%= config.bin %> agents add diagnose --exec '/usr/local/bin/diagnose --brief'",
    "<%= config.bin %> agents add review --exec 'node /srv/review.js' --output jsonl --max-run 10m --on-crash retry",
    "<%= config.bin %> agents add triage --http https://agents.example/triage --headers-file ~/triage.headers",
    "<%= config.bin %> agents add lookup --module ./lookup.js",
  ];
  static override readonly args = {
    name: string({ description: "The agent's name.", required: true, ignoreStdin: true }),
  };
  static override readonly flags = {
    exec: stringFlag({
      summary: "The program and its arguments, quoted as for a shell.",
      helpValue: "'PROGRAM ARG...'",
      exactlyOne: kinds,
    }),
    http: stringFlag({
      summary: "Where to POST each request, without credentials.",
      helpValue: "URL",
      exactlyOne: kinds,
    }),
    module: stringFlag({
      summary: "The ES module that answers.",
      helpValue: "FILE",
      exactlyOne: kinds,
    }),
    "headers-file": stringFlag({
      summary: "Headers for --http, such as authorization: a line `Name: value` for each.",
      description: "Nobody else may read it. It is read anew for each request.",
      helpValue: "FILE",
      dependsOn: ["http"],
    }),
    output: option({
      summary: "What a program or a URL answers [default: text].",
      options: ["text", "jsonl"] as const,
      exclusive: ["module"],
    })(),
    "on-crash": option({
      summary: "What becomes of a run whose gateway died [default: report].",
      description: "report: it ends interrupted. retry: it runs again, at most three times in all.",
      options: ["report", "retry"] as const,
    })(),
    "max-run": duration({ summary: "How long a run may take, in whole seconds [default: 1h]." }),
    description: stringFlag({ summary: "What this gateway's card says of it.", helpValue: "TEXT" }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(AgentsAdd);
    const { home, json } = this.globalOptions(flags);
    const name = parseAgentName(args.name);
    const { "max-run": maxRunMs, "on-crash": onCrash, description } = flags;
    if (maxRunMs !== undefined && maxRunMs % 1000 !== 0) {
      throw new PosternError("USAGE", "--max-run is in whole seconds");
    }
    const agent: AgentConfig = {
      ...kindOf(flags),
      ...(onCrash === undefined ? {} : { onCrash }),
      ...(maxRunMs === undefined ? {} : { maxRunSeconds: maxRunMs / 1000 }),
      ...(description === undefined ? {} : { description }),
    };
    const { paths } = openHome(home);
    updateConfig(paths, (config) => {
      if (Object.hasOwn(config.agents ?? {}, name)) {
        throw new PosternError(
          "AGENT_EXISTS",
          `there is an agent ${name} already: choose another name, or edit config.json`,
        );
      }
      return { ...config, agents: { ...config.agents, [name]: agent } };
    });
    if (json) return this.printJson({ name, ...agent });
    const settings = agentSettings(name, agent);
    this.print(
      `${name} is ${settings.kind} ${targetText(settings)}; a peer may ask it once it is granted (\`postern peers grant PEER --agent ${name}\`)`,
    );
  }
}

interface KindFlags {
  readonly exec?: string | undefined;
  readonly http?: string | undefined;
  readonly module?: string | undefined;
  readonly "headers-file"?: string | undefined;
  readonly output?: OutputKind | undefined;
}

/** What the flags say it is. Files are kept by absolute paths, and have to be there. Throws as those who read them. */
function kindOf(flags: KindFlags): AgentConfig {
  const output = flags.output === undefined ? {} : { output: flags.output };
  if (flags.exec !== undefined) return { exec: [...splitCommandLine(flags.exec)], ...output };
  if (flags.http !== undefined)
    return { http: flags.http, ...headersOf(flags["headers-file"]), ...output };
  const module = path.resolve(flags.module ?? "");
  requireModuleFile(module);
  return { module };
}

function headersOf(file: string | undefined) {
  if (file === undefined) return {};
  const headersFile = path.resolve(file);
  readHeadersFile(headersFile);
  return { headersFile };
}
