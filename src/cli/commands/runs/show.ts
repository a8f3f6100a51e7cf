import { parseRunId } from "../../../base/names.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { BaseCommand } from "../../base-command.ts";
import { fieldLines } from "../../field-lines.ts";
import { runArgs } from "../../run-args.ts";
import { runDetails } from "../../run-details.ts";

export default class RunsShow extends BaseCommand {
  static override readonly summary = "Show what was asked in one run, and how far it is.";
  static override readonly examples = ["<%= config.bin %> runs show RUNID --json"];
  static override readonly args = runArgs;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsShow);
    const { home, json, log } = this.globalOptions(flags);
    const runId = parseRunId(args.runid);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const details = await runDetails(gateway.mailbox.state, runId);
    if (json) this.printJson(details);
    else if (details.side === "asked") this.print(fieldLines(details.run));
    else this.print(details.runs.map(fieldLines).join("\n\n"));
  }
}
