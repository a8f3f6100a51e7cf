import { PosternError } from "../../../base/errors.ts";
import { parseRunId } from "../../../base/names.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { BaseCommand } from "../../base-command.ts";
import { duration } from "../../duration.ts";
import { exitStatusOfTerminal } from "../../exit-status.ts";
import { followRun, tellingHowToWatch } from "../../follow-run.ts";
import { Patience } from "../../patience.ts";
import { withProgress } from "../../progress.ts";
import { runArgs } from "../../run-args.ts";
import { printerFor } from "../../run-printer.ts";

export default class RunsWatch extends BaseCommand {
  static override readonly summary = "Follow a run that was asked from here, again from its start.";
  static override readonly description =
    "Prints and ends as `call` does; sends the request again if need be.";
  static override readonly examples = [
    "<%= config.bin %> runs watch RUNID",
    "<%= config.bin %> runs watch RUNID --timeout 60s --json",
  ];
  static override readonly args = runArgs;
  static override readonly flags = {
    timeout: duration({ summary: "How long to wait for the end [default: as long as it takes]." }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsWatch);
    const { home, json, log } = this.globalOptions(flags);
    const interruption = this.interruption();
    const runId = parseRunId(args.runid);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const { mailbox } = gateway;
    const record = await mailbox.state.outboxRecord(runId);
    if (record === undefined) {
      throw new PosternError(
        "RUN_UNKNOWN",
        `no run ${runId} was asked from here: see \`postern runs list\``,
      );
    }
    using patience = new Patience(mailbox.clock, flags.timeout, interruption);
    const { clock } = mailbox;
    using printer = withProgress(printerFor(runId, json), json, { callee: record.to, clock });
    const following = followRun(mailbox, runId, printer, patience);
    const status = exitStatusOfTerminal(await tellingHowToWatch(runId, following));
    if (status !== 0) this.exit(status);
  }
}
