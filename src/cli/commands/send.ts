import { asPosternError } from "../../base/errors.ts";
import { deliverInTime } from "../../gateway/ask.ts";
import { openGateway } from "../../gateway/gateway.ts";
import { askArgs, askFlags, commitAsk, readAsk } from "../ask-input.ts";
import { BaseCommand } from "../base-command.ts";
import { note } from "../note.ts";

export default class Send extends BaseCommand {
  static override readonly summary = "Ask an agent, and do not wait for the answer.";
  static override readonly description =
    "Prints the runId. The request is kept until it is answered or has expired: a later `poll` or `runs watch` sends it again if need be.";
  static override readonly examples = [
    "<%= config.bin %> send eu-lab/diagnose --prompt 'Why is disk 3 filling up?' --idempotency-key INC-4711",
    "git diff | <%= config.bin %> send eu-lab/review --prompt-file - --json",
  ];
  static override readonly args = askArgs;
  static override readonly flags = askFlags;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Send);
    const { home, json, log } = this.globalOptions(flags);
    const request = await readAsk(args.target, flags);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const asked = await commitAsk(gateway, request);
    const { runId, to, state } = asked.record;
    if (json) this.printJson({ runId, idempotencyKey: asked.idempotencyKey, to, state });
    else this.print(runId);
    try {
      await deliverInTime(gateway.mailbox, asked);
    } catch (thrown) {
      if (asPosternError(thrown).class === "store") {
        note(`run ${runId} is kept: the next \`postern poll\` sends it`);
      }
      throw thrown;
    }
  }
}
