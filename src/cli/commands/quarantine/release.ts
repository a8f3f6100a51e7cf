import { boolean } from "@oclif/core/flags";
import { systemClock } from "../../../base/clock.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { maxRunsOf } from "../../../gateway/starter.ts";
import { previewRelease, releasableOf } from "../../../mailbox/release.ts";
import { BaseCommand } from "../../base-command.ts";
import { requireYes } from "../../confirm.ts";
import { admissionText, admissionView } from "../../inbox-views.ts";
import { note } from "../../note.ts";
import {
  quarantineArgs,
  quarantineLines,
  quarantineUnknown,
  quarantineView,
  requireQuarantined,
} from "../../quarantine-views.ts";

export default class QuarantineRelease extends BaseCommand {
  static override readonly summary = "Put a refused request through admission once more.";
  static override readonly description =
    "It goes through all that a request from the inbox goes through, under the name and the times it was signed for: a release vouches for nothing. What still does not verify is refused again. Shows what it is, and what would become of it now, before it asks; whether a cancel lies in the store is not looked at.";
  static override readonly examples = [
    "<%= config.bin %> quarantine release ID",
    "<%= config.bin %> quarantine release ID --yes --json",
  ];
  static override readonly args = quarantineArgs;
  static override readonly flags = { yes: boolean({ summary: "Release it: do not ask." }) };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(QuarantineRelease);
    const { home, json, log } = this.globalOptions(flags);
    const interruption = this.interruption();
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const { mailbox, responder } = gateway;
    const entry = await requireQuarantined(mailbox.state, args.id);
    const releasable = releasableOf(mailbox, entry);
    const preview = await previewRelease(mailbox, releasable, maxRunsOf(responder));
    const admission = admissionView(preview.prospect);
    const from = releasable.name.from;
    const now = admissionText(admission);
    note(`to be released:\n${quarantineLines(entry, systemClock.now(), { from, now })}`);
    await requireYes("Put it through admission again?", flags, interruption);
    // It was collected, or discarded, meanwhile.
    const answer = await mailbox.state.releaseQuarantined(entry.id);
    if (answer !== "released") throw quarantineUnknown(entry.id);
    const view = quarantineView({ ...entry, released: true });
    if (json) this.printJson({ ...view, from, admission });
    else this.print(`${view.id}: ${view.whatToDo}`);
  }
}
