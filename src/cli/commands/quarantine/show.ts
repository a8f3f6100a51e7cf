import { openGateway } from "../../../gateway/gateway.ts";
import { BaseCommand } from "../../base-command.ts";
import { fieldLines } from "../../field-lines.ts";
import { quarantineArgs, quarantineView, requireQuarantined } from "../../quarantine-views.ts";

export default class QuarantineShow extends BaseCommand {
  static override readonly summary = "Show what was refused, why, and what to do about it.";
  static override readonly description = "With --json the kept bytes come along, in base64.";
  static override readonly examples = ["<%= config.bin %> quarantine show ID"];
  static override readonly args = quarantineArgs;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(QuarantineShow);
    const { home, json, log } = this.globalOptions(flags);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const entry = await requireQuarantined(gateway.mailbox.state, args.id);
    const view = quarantineView(entry);
    if (!json) return this.print(fieldLines(view));
    const bytes = entry.bytes === null ? null : Buffer.from(entry.bytes).toString("base64");
    this.printJson({ ...view, bytes });
  }
}
