import { integer } from "@oclif/core/flags";
import { runPass } from "../../gateway/at-work.ts";
import { openGateway } from "../../gateway/gateway.ts";
import { BaseCommand } from "../base-command.ts";
import { duration } from "../duration.ts";
import { exitStatusOf, interruptedStatus } from "../exit-status.ts";
import { note } from "../note.ts";

export default class Poll extends BaseCommand {
  static override readonly summary = "One pass for cron, in both directions; then exit.";
  static override readonly description =
    "Takes over what a dead process left; admits, runs and answers what waits; sends again and closes what was asked from here; drops a slice of what retention no longer keeps. Says nothing when all is well. One pass of a home at a time: a second one exits 75.";
  static override readonly examples = [
    "* * * * * <%= config.bin %> poll --max-time 50s",
    "<%= config.bin %> poll --max-runs 1 --json",
  ];
  static override readonly flags = {
    "max-runs": integer({ summary: "Admit at most so many runs.", helpValue: "N", min: 1 }),
    "max-time": duration({
      summary:
        "Admit nothing after so long, counted once what was asked from here has been seen to; what runs goes on to its end.",
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Poll);
    const { home, json, log } = this.globalOptions(flags);
    const interruption = this.interruption();
    await using gateway = await openGateway({ home, log, env: process.env, admits: true });
    const { "max-runs": maxRuns, "max-time": maxTimeMs } = flags;
    const report = await runPass(gateway, {
      ...(maxRuns === undefined ? {} : { maxRuns }),
      ...(maxTimeMs === undefined ? {} : { maxTimeMs }),
      signal: AbortSignal.any([interruption, termination()]),
    });
    const { problems, ...counts } = report;
    if (json) {
      const failed = problems.map(({ code, message }) => ({ code, message }));
      this.printJson({ ...counts, problems: failed, storeRequests: gateway.storeRequests() });
    }
    for (const { code, message } of problems) note(`${code}: ${message}`);
    if (interruption.aborted) this.exit(interruptedStatus);
    const [first] = problems;
    if (first !== undefined) this.exit(exitStatusOf(first));
  }
}

/** Aborts at the first SIGTERM; a second one kills as usual. */
function termination(): AbortSignal {
  const terminated = new AbortController();
  process.once("SIGTERM", () => terminated.abort());
  return terminated.signal;
}
