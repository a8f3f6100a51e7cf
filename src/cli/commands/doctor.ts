import { errorClassOf } from "../../base/errors.ts";
import { BaseCommand } from "../base-command.ts";
import { examine } from "../doctor/doctor.ts";
import type { Finding } from "../doctor/finding.ts";
import { exitStatusOf } from "../exit-status.ts";
import { safeText } from "../output.ts";

export default class Doctor extends BaseCommand {
  static override readonly summary =
    "Check everything that this gateway needs, and say what to do.";
  static override readonly description =
    "Looks at the home, keys, trust, state, agents, store and clocks, and races real conditional writes. Ends with 0 only when nothing failed.";
  static override readonly examples = [
    "<%= config.bin %> doctor",
    "<%= config.bin %> doctor --json",
  ];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Doctor);
    const { home, json, log } = this.globalOptions(flags);
    const found: Finding[] = [];
    for await (const finding of examine({ home, log, env: process.env })) {
      found.push(finding);
      if (!json) this.print(line(finding));
    }
    if (json) this.printJson(found);
    const failed = found.find(({ status }) => status === "failure");
    if (failed !== undefined)
      this.exit(exitStatusOf({ class: errorClassOf(failed.code ?? "USAGE") }));
  }
}

function line({ status, check, what, remedy, code }: Finding): string {
  const coded = code === undefined ? what : `${code}: ${what}`;
  const said = remedy === undefined ? coded : `${coded} (${remedy})`;
  return `${status.padEnd("failure".length)}  ${safeText(check)}: ${safeText(said)}`;
}
