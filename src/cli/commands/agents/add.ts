import { string } from "@oclif/core/args";
import { option, string as stringFlag } from "@oclif/core/flags";
import { PosternError } from "../../../base/errors.ts";
import { parseAgentName } from "../../../base/names.ts";
import { splitCommandLine } from "../../../gateway/command-line.ts";
import type { AgentConfig } from "../../../gateway/config.ts";
import { openHome, updateConfig } from "../../../gateway/home.ts";
import { BaseCommand } from "../../base-command.ts";
import { duration } from "../../duration.ts";

export default class AgentsAdd extends BaseCommand {
  static override readonly summary = "Say what requests to one agent run.";
  static override readonly description =
    "The program is started without a shell for each request, which it gets as JSON on stdin. With --output jsonl each line of its stdout is an event; otherwise its stdout is the answer. Peers may ask it once it is granted to them.";
  static override readonly examples = [
    "<%= config.bin %> agents add diagnose --exec '/usr/local/bin/diagnose --brief'",
    "<%= config.bin %> agents add review --exec 'node review.js' --output jsonl --max-run 10m --on-crash retry",
  ];
  static override readonly args = {
    name: string({ description: "The agent's name.", required: true, ignoreStdin: true }),
  };
  static override readonly flags = {
    exec: stringFlag({
      summary: "The program and its arguments, quoted as for a shell.",
      helpValue: "'PROGRAM ARG...'",
      required: true,
    }),
    output: option({
      summary: "What its stdout is [default: text].",
      options: ["text", "jsonl"] as const,
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
    const { "max-run": maxRunMs, "on-crash": onCrash, output, description } = flags;
    if (maxRunMs !== undefined && maxRunMs % 1000 !== 0) {
      throw new PosternError("USAGE", "--max-run is in whole seconds");
    }
    const agent: AgentConfig = {
      exec: [...splitCommandLine(flags.exec)],
      ...(output === undefined ? {} : { output }),
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
    if (json) this.printJson({ name, ...agent });
    else
      this.print(
        `requests to ${name} run ${JSON.stringify(agent.exec)}; a peer may ask it once trust.json grants it (\`postern peers add --agent\`)`,
      );
  }
}
