import { boolean } from "@oclif/core/flags";
import { systemClock } from "../../../base/clock.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { BaseCommand } from "../../base-command.ts";
import { requireYes } from "../../confirm.ts";
import { note } from "../../note.ts";
import {
  quarantineArgs,
  quarantineLines,
  quarantineUnknown,
  quarantineView,
  requireQuarantined,
} from "../../quarantine-views.ts";

export default class QuarantineDiscard extends BaseCommand {
  static override readonly summary = "Forget what was refused, and delete the bytes kept of it.";
  static override readonly description =
    "An object that was left in the store stays there: the next pass reports it again, for as long as it lies there.";
  static override readonly examples = [
    "<%= config.bin %> quarantine discard ID",
    "<%= config.bin %> quarantine discard ID --yes --json",
  ];
  static override readonly args = quarantineArgs;
  static override readonly flags = { yes: boolean({ summary: "Discard it: do not ask." }) };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(QuarantineDiscard);
    const { home, json, log } = this.globalOptions(flags);
    const interruption = this.interruption();
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const { state } = gateway.mailbox;
    const entry = await requireQuarantined(state, args.id);
    note(`to be discarded:\n${quarantineLines(entry, systemClock.now())}`);
    await requireYes("Discard it for good?", flags, interruption);
    if (!(await state.discardQuarantined(entry.id))) throw quarantineUnknown(entry.id);
    const { whatToDo: _over, ...view } = quarantineView(entry);
    if (json) this.printJson({ ...view, discarded: true });
    else this.print(`${view.id} is discarded`);
  }
}
