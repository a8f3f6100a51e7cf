import { asPosternError, PosternError } from "../../../base/errors.ts";
import { parseRunId } from "../../../base/names.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { cancelRun } from "../../../mailbox/send.ts";
import { BaseCommand } from "../../base-command.ts";
import { note } from "../../note.ts";
import { runArgs } from "../../run-args.ts";

export default class RunsCancel extends BaseCommand {
  static override readonly summary = "Ask the callee to stop a run.";
  static override readonly description =
    "The run still ends in what the callee answers: `runs watch` shows whether it was stopped in time.";
  static override readonly examples = ["<%= config.bin %> runs cancel RUNID"];
  static override readonly args = runArgs;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsCancel);
    const { home, json, log } = this.globalOptions(flags);
    const runId = parseRunId(args.runid);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const { state } = gateway.mailbox;
    try {
      await cancelRun(gateway.mailbox, runId);
    } catch (thrown) {
      if (asPosternError(thrown).class === "store") {
        note("the cancel is kept: the next `postern poll` sends it");
      }
      throw thrown;
    }
    const record = await state.outboxRecord(runId);
    if (record === undefined) throw new PosternError("RUN_UNKNOWN", `run ${runId} is gone`);
    const isOver = record.state === "closed";
    if (json) this.printJson({ runId, to: record.to, state: record.state, cancelAsked: !isOver });
    else if (isOver)
      this.print(`the run has ended already: ${record.terminal?.status ?? "closed"}`);
    else this.print(`asked ${record.to} to stop it`);
  }
}
