import { integer, string } from "@oclif/core/flags";
import { systemClock } from "../../../base/clock.ts";
import { parseGatewayName } from "../../../base/names.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { maxRunsOf } from "../../../gateway/starter.ts";
import { lookAtInbox } from "../../../mailbox/look-at-inbox.ts";
import { BaseCommand } from "../../base-command.ts";
import { inboxLookView, inboxTables } from "../../inbox-views.ts";
import { note } from "../../note.ts";

export default class InboxList extends BaseCommand {
  static override readonly summary =
    "List what waits in the store for this gateway, and what a pass would do with it.";
  static override readonly description =
    "Looking changes nothing: nothing is admitted, answered, quarantined or deleted. Each request is judged as if it were alone, and senders come in turn, as they would be admitted.";
  static override readonly examples = [
    "<%= config.bin %> inbox list",
    "<%= config.bin %> inbox list --peer support --limit 10",
    "<%= config.bin %> inbox list --json",
  ];
  static override readonly flags = {
    peer: string({ summary: "Only what lies under this sender's name.", helpValue: "NAME" }),
    limit: integer({ summary: "Show so many at most.", helpValue: "N", default: 100, min: 1 }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(InboxList);
    const { home, json, log } = this.globalOptions(flags);
    const { limit, peer } = flags;
    const only = peer === undefined ? {} : { from: parseGatewayName(peer) };
    await using gateway = await openGateway({ home, log, env: process.env, readOnly: true });
    const { mailbox, responder } = gateway;
    const look = await lookAtInbox(mailbox, { limit, maxRunOf: maxRunsOf(responder), ...only });
    const view = inboxLookView(look, systemClock.now());
    if (json) return this.printJson(view);
    this.print(inboxTables(view));
    if (view.more) note("more lies there: raise --limit, or name one sender by --peer");
  }
}
