import { agentsOf } from "../../../gateway/config.ts";
import { openHome } from "../../../gateway/home.ts";
import { agentView, targetText } from "../../agent-views.ts";
import { BaseCommand } from "../../base-command.ts";
import { formatDuration } from "../../duration.ts";
import { table } from "../../output.ts";

export default class AgentsList extends BaseCommand {
  static override readonly summary = "List what requests to this gateway run.";
  static override readonly examples = ["<%= config.bin %> agents list"];

  override async run(): Promise<void> {
    const { flags } = await this.parse(AgentsList);
    const { home, json } = this.globalOptions(flags);
    const agents = [...agentsOf(openHome(home).config).values()];
    if (json) return this.printJson(agents.map(agentView));
    const rows = agents.map((agent) => [
      agent.name,
      agent.kind,
      targetText(agent),
      agent.kind === "module" ? "" : agent.output,
      agent.onCrash,
      formatDuration(agent.maxRunMs),
      agent.description ?? "",
    ]);
    const head = ["NAME", "KIND", "TARGET", "OUTPUT", "ON CRASH", "MAX RUN", "DESCRIPTION"];
    this.print(table(head, rows));
  }
}
