import { string } from "@oclif/core/args";
import { PosternError } from "../../../base/errors.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { BaseCommand } from "../../base-command.ts";
import { fieldLines } from "../../field-lines.ts";
import { quarantineView } from "../../quarantine-views.ts";

export default class QuarantineShow extends BaseCommand {
  static override readonly summary = "Show what was refused, why, and what to do about it.";
  static override readonly description = "With --json the kept bytes come along, in base64.";
  static override readonly examples = ["<%= config.bin %> quarantine show ID"];
  static override readonly args = {
    id: string({
      description: "What `quarantine list` shows.",
      required: true,
      ignoreStdin: true,
    }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(QuarantineShow);
    const { home, json, log } = this.globalOptions(flags);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const entry = await gateway.mailbox.state.quarantinedEntry(args.id);
    if (entry === undefined) {
      const shown = JSON.stringify(args.id);
      throw new PosternError(
        "QUARANTINE_UNKNOWN",
        `${shown} is not in quarantine: see \`postern quarantine list\``,
      );
    }
    const view = quarantineView(entry);
    if (!json) return this.print(fieldLines(view));
    const bytes = entry.bytes === null ? null : Buffer.from(entry.bytes).toString("base64");
    this.printJson({ ...view, bytes });
  }
}
