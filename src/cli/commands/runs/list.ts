import { boolean, integer } from "@oclif/core/flags";
import { openGateway } from "../../../gateway/gateway.ts";
import { BaseCommand } from "../../base-command.ts";
import { askedTable, askedView, receivedTable, receivedView } from "../../run-views.ts";

export default class RunsList extends BaseCommand {
  static override readonly summary =
    "List what was asked from here, or with --received what was asked of this gateway.";
  static override readonly examples = [
    "<%= config.bin %> runs list",
    "<%= config.bin %> runs list --received --json",
  ];
  static override readonly flags = {
    received: boolean({
      summary: "The callee's side: what came in, its state, and how long it is kept.",
    }),
    limit: integer({
      summary: "Show so many at most, the latest ones.",
      helpValue: "N",
      default: 100,
      min: 1,
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(RunsList);
    const { home, json, log } = this.globalOptions(flags);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const { state } = gateway.mailbox;
    const { limit } = flags;
    if (flags.received) {
      const views = (await state.receipts({ limit })).map(receivedView).toReversed();
      if (json) this.printJson(views);
      else this.print(receivedTable(views));
    } else {
      const views = (await state.outboxRecords({ limit })).map(askedView).toReversed();
      if (json) this.printJson(views);
      else this.print(askedTable(views));
    }
  }
}
