import { limits } from "../../base/limits.ts";
import { runService } from "../../gateway/at-work.ts";
import { openGateway } from "../../gateway/gateway.ts";
import { BaseCommand } from "../base-command.ts";
import { duration, formatDuration } from "../duration.ts";
import { interruptedStatus } from "../exit-status.ts";
import { note } from "../note.ts";
import { stopSignals } from "../stop-signals.ts";

export default class Serve extends BaseCommand {
  static override readonly summary = "Answer requests until stopped.";
  static override readonly description =
    "Does what `poll` does, again and again: quickly while there is work, ever more seldom while there is none (`serve` in config.json sets the bounds). A store that is away or a trust document that has expired is waited for. SIGTERM and SIGINT take nothing new and let what runs go on within the grace; a second one ends what runs without that: agents then have the 5 seconds between SIGTERM and SIGKILL. Several may serve one home.";
  static override readonly examples = [
    "<%= config.bin %> serve",
    "<%= config.bin %> serve --grace 5m --log-level info",
  ];
  static override readonly flags = {
    grace: duration({
      summary: `How long runs may go on once it is told to stop [default: ${formatDuration(limits.serveGraceMs)}].`,
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Serve);
    const { home, json, log } = this.globalOptions(flags);
    const { first, second } = stopSignals(["SIGTERM", "SIGINT"]);
    await using gateway = await openGateway({ home, log, env: process.env, admits: true });
    if (process.stderr.isTTY) {
      note(`serving ${gateway.config.gateway} from ${gateway.config.store}; Ctrl-C stops it`);
    }
    const report = await runService(gateway, {
      ...(flags.grace === undefined ? {} : { graceMs: flags.grace }),
      signal: first,
      haste: second,
    });
    if (json) this.printJson({ ...report, storeRequests: gateway.storeRequests() });
    if (first.reason === "SIGINT") this.exit(interruptedStatus);
  }
}
