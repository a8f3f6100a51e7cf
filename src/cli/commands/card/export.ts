import { string } from "@oclif/core/flags";
import { BaseCommand } from "../../base-command.ts";
import { exportCard } from "../../own-card.ts";

export default class CardExport extends BaseCommand {
  static override readonly summary =
    "This gateway's signed card, as one line of text that survives a chat window.";
  static override readonly description =
    "Whoever adds it compares the fingerprint with what you read out: `doctor` shows it.";
  static override readonly examples = [
    "<%= config.bin %> card export",
    "<%= config.bin %> card export --out support.card",
  ];
  static override readonly flags = {
    out: string({
      summary: "Write the line to this file, and overwrite nothing.",
      helpValue: "FILE",
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(CardExport);
    const { home, json } = this.globalOptions(flags);
    const exported = await exportCard(home, flags.out);
    if (json) this.printJson(exported);
    else if (flags.out === undefined) this.print(exported.card);
  }
}
