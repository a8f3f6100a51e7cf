import { deliver } from "../../gateway/ask.ts";
import { openGateway } from "../../gateway/gateway.ts";
import { askArgs, askFlags, commitAsk, readAsk } from "../ask-input.ts";
import { BaseCommand } from "../base-command.ts";
import { duration } from "../duration.ts";
import { exitStatusOfTerminal } from "../exit-status.ts";
import { followRun, tellingHowToWatch } from "../follow-run.ts";
import { Patience } from "../patience.ts";
import { withProgress } from "../progress.ts";
import { printerFor } from "../run-printer.ts";

export default class Call extends BaseCommand {
  static override readonly summary = "Ask an agent, and follow the answer to its end.";
  static override readonly description =
    "Text goes to stdout as it comes. When --timeout passes, or you interrupt, the run goes on: `runs watch` follows it again.";
  static override readonly examples = [
    "<%= config.bin %> call eu-lab/diagnose --prompt 'Why is disk 3 filling up?'",
    "<%= config.bin %> call eu-lab/diagnose --prompt-file incident.md --idempotency-key INC-4711 --timeout 60s",
    '<%= config.bin %> call eu-lab/lookup --tool usage --input \'{"path": "/var"}\' --json',
  ];
  static override readonly args = askArgs;
  static override readonly flags = {
    ...askFlags,
    timeout: duration({ summary: "How long to wait for the end [default: as long as it takes]." }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Call);
    const { home, json, log } = this.globalOptions(flags);
    const interruption = this.interruption();
    const request = await readAsk(args.target, flags);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const { mailbox } = gateway;
    const asked = await commitAsk(gateway, request);
    const { runId, to: callee } = asked.record;
    using patience = new Patience(mailbox.clock, flags.timeout, interruption);
    const { clock } = mailbox;
    using printer = withProgress(printerFor(runId, json), json, { callee, clock });
    const following = patience
      .wait(deliver(mailbox, asked))
      .then(() => followRun(mailbox, runId, printer, patience));
    const status = exitStatusOfTerminal(await tellingHowToWatch(runId, following));
    if (status !== 0) this.exit(status);
  }
}
