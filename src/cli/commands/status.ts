import { option, boolean } from "@oclif/core/flags";
import { limits } from "../../base/limits.ts";
import { openGateway } from "../../gateway/gateway.ts";
import { BaseCommand } from "../base-command.ts";
import { duration, formatDuration } from "../duration.ts";
import { exitStatusOf } from "../exit-status.ts";
import { attentionOf } from "../status/attention.ts";
import { prometheusText } from "../status/prometheus.ts";
import { screenText } from "../status/screen.ts";
import { readStatus } from "../status/status.ts";
import type { StatusView } from "../status/view.ts";

const attentionStatus = 1;

export default class Status extends BaseCommand {
  static override readonly summary = "How this gateway stands, on one screen; for monitoring, too.";
  static override readonly description = `Changes nothing: reads state and trust document, and lists one page of the inbox. Works beside \`serve\` and \`poll\`.

Ends with 0 when nothing needs attention, with 3 when the store could not be reached (what is known without it is printed all the same), and with 1 for any of these, each a code under "attention":

STORE_AWAY: the store could not be looked at.
STATE_ELSEWHERE: another state serves this gateway.
CLOCK_BEHIND: the clock is behind what the state has seen, or far behind the store's.
TRUST_UNUSABLE: trust.json has expired or cannot be read: nobody is answered.
TRUST_EXPIRING: it expires within --warn-trust.
PASS_OVERDUE: no pass has gone well for --max-pass-age.
GATEWAY_TROUBLE: the last pass failed, or a request could not be sent, for a reason that concerns all peers.
PEER_TROUBLE: within a day, something of one peer failed, and nothing of it went well since.
RUNS_UNKNOWN: runs asked from here have neither an answer nor time left to wait for one.
QUARANTINED: within a day, something was refused that nobody has released or discarded.`;
  static override readonly examples = [
    "<%= config.bin %> status",
    "<%= config.bin %> status --max-pass-age 5m --json",
    "<%= config.bin %> status --format prometheus > /var/lib/node_exporter/postern.prom",
  ];
  static override readonly flags = {
    offline: boolean({ summary: "Leave the store out.", default: false }),
    format: option({
      summary: "Print for this program instead of people: Prometheus' text format 0.0.4.",
      options: ["prometheus"] as const,
      exclusive: ["json"],
    })(),
    "max-pass-age": duration({
      summary: "How old the last good pass may be, a few minutes for a service [default: any age].",
    }),
    "warn-trust": duration({
      summary: `How long before its end trust.json needs attention [default: ${formatDuration(limits.warnTrustMs)}].`,
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Status);
    const { home, json, log } = this.globalOptions(flags);
    const { "max-pass-age": maxPassAgeMs, "warn-trust": warnTrustMs = limits.warnTrustMs } = flags;
    await using gateway = await openGateway({ home, log, readOnly: true });
    const status = await readStatus(gateway, { offline: flags.offline });
    const attention = attentionOf(status, {
      warnTrustMs,
      ...(maxPassAgeMs === undefined ? {} : { maxPassAgeMs }),
    });
    const view: StatusView = { ...status, attention };
    if (json) this.printJson(view);
    else if (flags.format === "prometheus") this.print(prometheusText(view, this.config.version));
    else this.print(screenText(view));
    if (view.store.reached === false) this.exit(exitStatusOf({ class: "store" }));
    if (attention.length > 0) this.exit(attentionStatus);
  }
}
