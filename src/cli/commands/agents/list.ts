import { agentsOf } from "../../../gateway/config.ts";
import { openHome } from "../../../gateway/home.ts";
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
    const views = agents.map(({ name, command, output, onCrash, maxRunMs, description }) => ({
      name,
      exec: command,
      output,
      onCrash,
      maxRun: formatDuration(maxRunMs),
      description: description ?? null,
    }));
    if (json) return this.printJson(views);
    const rows = views.map((view) => [
      view.name,
      view.output,
      view.onCrash,
      view.maxRun,
      JSON.stringify(view.exec),
      view.description ?? "",
    ]);
    this.print(table(["NAME", "OUTPUT", "ON CRASH", "MAX RUN", "EXEC", "DESCRIPTION"], rows));
  }
}
