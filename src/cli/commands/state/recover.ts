import { boolean } from "@oclif/core/flags";
import { openHome } from "../../../gateway/home.ts";
import { BaseCommand } from "../../base-command.ts";
import { requireYes } from "../../confirm.ts";
import { exitStatusOf } from "../../exit-status.ts";
import { note } from "../../note.ts";
import { recoverState } from "../../recover-state.ts";

export default class StateRecover extends BaseCommand {
  static override readonly summary = "Go on with a state that was copied, moved, restored or lost.";
  static override readonly description =
    "Nothing runs twice: requests signed before now, or within the next seven minutes, that this state knows nothing of end interrupted, as do the runs that are open in it. Stop whatever else serves this gateway's name first.";
  static override readonly examples = ["<%= config.bin %> state recover"];
  static override readonly flags = {
    yes: boolean({ summary: "Nothing else serves this gateway: do not ask." }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(StateRecover);
    const { home, json, log } = this.globalOptions(flags);
    const interruption = this.interruption();
    const { config } = openHome(home);
    const question = `Does nothing else, on no other machine, serve ${config.gateway}?`;
    await requireYes(question, flags, interruption);
    const { made, bornMs, runsFromMs, openRuns, unclaimed } = await recoverState({
      home,
      log,
      env: process.env,
    });
    const bornAt = new Date(bornMs).toISOString();
    const runsFrom = runsFromMs === undefined ? null : new Date(runsFromMs).toISOString();
    if (json) {
      this.printJson({
        gateway: config.gateway,
        made,
        bornAt,
        runsFrom,
        openRuns,
        claimed: unclaimed === undefined,
      });
    } else {
      this.print(`${made ? "made a new state" : "recovered the state"} of ${config.gateway}`);
      this.print(
        `requests signed before ${runsFrom ?? "it has claimed its name, or within seven minutes after"}, and not known here, will end interrupted and never run: ask nothing new of it until then`,
      );
      this.print(`open runs that the next \`postern poll\` ends interrupted: ${openRuns.length}`);
      for (const runId of openRuns) this.print(`  ${runId}`);
    }
    if (unclaimed !== undefined) {
      note(
        `${unclaimed.code}: the state is not yet claimed in the store, the next \`postern poll\` does that: ${unclaimed.message}`,
      );
      this.exit(exitStatusOf(unclaimed));
    }
  }
}
