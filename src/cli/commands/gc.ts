import { boolean } from "@oclif/core/flags";
import { runGc } from "../../gateway/at-work.ts";
import { openGateway } from "../../gateway/gateway.ts";
import { BaseCommand } from "../base-command.ts";
import { interruptedStatus } from "../exit-status.ts";
import { gcTable, gcView } from "../gc-view.ts";

export default class Gc extends BaseCommand {
  static override readonly summary = "Delete what retention no longer keeps, to the end.";
  static override readonly description =
    "Each pass does a slice of it by itself. From the state: receipts and runs asked that have ended a week ago, old quarantine entries and troubles. From the store, only what is this gateway's to delete: frames of closed runs, frames of unknown runs after a week, spent cancels, left-over probes, owner keys far below the newest, unfinished files of a folder. What cannot be deleted keeps nothing else from going: it ends with 3, and says the first of it. Deletes nothing under a clock that is behind (exit 75).";
  static override readonly examples = [
    "<%= config.bin %> gc --dry-run",
    "<%= config.bin %> gc --json",
  ];
  static override readonly flags = {
    "dry-run": boolean({ summary: "Say what would go, and change nothing.", default: false }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Gc);
    const { home, json, log } = this.globalOptions(flags);
    const { "dry-run": dryRun } = flags;
    const signal = this.interruption();
    await using gateway = await openGateway({ home, log, readOnly: dryRun });
    const report = await runGc(gateway, { dryRun, signal });
    const view = gcView(report, dryRun);
    if (json) this.printJson(view);
    else this.print(gcTable(view));
    if (signal.aborted) this.exit(interruptedStatus);
    if (report.problem !== null) throw report.problem;
  }
}
