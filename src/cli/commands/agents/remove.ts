import { string } from "@oclif/core/args";
import { boolean } from "@oclif/core/flags";
import { PosternError } from "../../../base/errors.ts";
import { parseAgentName, type AgentName } from "../../../base/names.ts";
import { agentsOf, type Config } from "../../../gateway/config.ts";
import { openHome, readTrust, updateConfig } from "../../../gateway/home.ts";
import { targetText } from "../../agent-views.ts";
import { BaseCommand } from "../../base-command.ts";
import { requireYes } from "../../confirm.ts";
import { note } from "../../note.ts";
import { peerViews } from "../../peer-views.ts";

export default class AgentsRemove extends BaseCommand {
  static override readonly summary = "Run nothing more for one agent.";
  static override readonly description =
    "Its entry in config.json goes; what it ran stays where it lies. From its next start on, as with each poll, the gateway refuses requests to it, those that it took in before and has not begun among them. Grants in trust.json stay: another agent of that name could be asked at once.";
  static override readonly examples = [
    "<%= config.bin %> agents remove diagnose",
    "<%= config.bin %> agents remove diagnose --yes",
  ];
  static override readonly args = {
    name: string({ description: "The agent's name.", required: true, ignoreStdin: true }),
  };
  static override readonly flags = {
    yes: boolean({ summary: "Do not ask." }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(AgentsRemove);
    const { home, json } = this.globalOptions(flags);
    const interruption = this.interruption();
    const name = parseAgentName(args.name);
    const { paths, config } = openHome(home);
    const agent = agentsOf(config).get(name);
    if (agent === undefined) throw unknownAgent(name);
    const grantedTo = peerViews(readTrust(paths))
      .filter(({ grants }) => grants.agents?.includes(name) === true)
      .map((peer) => peer.name);
    note(`${name} is ${agent.kind} ${targetText(agent)}`);
    if (grantedTo.length > 0) note(`it is still granted to ${grantedTo.join(", ")} in trust.json`);
    await requireYes(`Remove ${name}?`, flags, interruption);
    updateConfig(paths, (before) => without(before, name));
    if (json) this.printJson({ name, grantedTo });
    else this.print(`${name} is removed; requests to it are refused`);
  }
}

/** Throws `AGENT_UNKNOWN` when somebody else was faster. */
function without(config: Config, name: AgentName): Config {
  const { [name]: removed, ...agents } = config.agents ?? {};
  if (removed === undefined) throw unknownAgent(name);
  return { ...config, agents };
}

function unknownAgent(name: AgentName): PosternError {
  return new PosternError(
    "AGENT_UNKNOWN",
    `there is no agent ${name}: see \`postern agents list\``,
  );
}
