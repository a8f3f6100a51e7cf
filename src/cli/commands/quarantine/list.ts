import { integer } from "@oclif/core/flags";
import { openGateway } from "../../../gateway/gateway.ts";
import { BaseCommand } from "../../base-command.ts";
import { table } from "../../output.ts";
import { quarantineView } from "../../quarantine-views.ts";

export default class QuarantineList extends BaseCommand {
  static override readonly summary =
    "List what was refused before its signature held, the latest first.";
  static override readonly examples = ["<%= config.bin %> quarantine list --json"];
  static override readonly flags = {
    limit: integer({ summary: "Show so many at most.", helpValue: "N", default: 100, min: 1 }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(QuarantineList);
    const { home, json, log } = this.globalOptions(flags);
    await using gateway = await openGateway({ home, log, env: process.env, admits: false });
    const entries = await gateway.mailbox.state.quarantined({ limit: flags.limit });
    const views = entries.map(quarantineView);
    if (json) return this.printJson(views);
    const rows = views.map(({ id, code, sender, size, released, at, key }) => [
      id,
      code,
      sender,
      `${size}`,
      released ? "yes" : "-",
      at,
      key,
    ]);
    this.print(table(["ID", "CODE", "SENDER", "BYTES", "RELEASED", "AT", "KEY"], rows));
  }
}
