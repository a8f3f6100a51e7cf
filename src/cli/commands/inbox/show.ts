import { string } from "@oclif/core/args";
import { systemClock } from "../../../base/clock.ts";
import { PosternError } from "../../../base/errors.ts";
import { isRunId, type GatewayName, type RunId } from "../../../base/names.ts";
import { openGateway } from "../../../gateway/gateway.ts";
import { maxRunsOf } from "../../../gateway/starter.ts";
import { lookAtRequest } from "../../../mailbox/look-at-inbox.ts";
import { parseObjectKey, type RequestName } from "../../../protocol/object-key.ts";
import { BaseCommand } from "../../base-command.ts";
import { inboxDetailLines, inboxDetails } from "../../inbox-views.ts";

export default class InboxShow extends BaseCommand {
  static override readonly summary =
    "Show one request that waits: who asks what, and what is wrong with it.";
  static override readonly description =
    "Looking changes nothing. What does not verify is shown as untrusted, and without its content. With --json the content is whole.";
  static override readonly examples = [
    "<%= config.bin %> inbox show RUNID",
    "<%= config.bin %> inbox show eu-lab/inbox/support/RUNID --json",
  ];
  static override readonly args = {
    name: string({
      description: "The run, or the whole name of the object: `inbox list --json` shows both.",
      required: true,
      ignoreStdin: true,
    }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(InboxShow);
    const { home, json, log } = this.globalOptions(flags);
    await using gateway = await openGateway({ home, log, env: process.env, readOnly: true });
    const { mailbox, responder } = gateway;
    const request = await lookAtRequest(
      mailbox,
      nameIn(args.name, mailbox.self),
      maxRunsOf(responder),
    );
    const details = inboxDetails(request, systemClock.now());
    if (json) this.printJson(details);
    else this.print(inboxDetailLines(details));
  }
}

/** Throws `NAME_INVALID`. */
function nameIn(text: string, self: GatewayName): RequestName | RunId {
  if (isRunId(text)) return text;
  const name = parseObjectKey(text);
  if (name?.kind === "request" && name.to === self) return name;
  throw new PosternError(
    "NAME_INVALID",
    `${JSON.stringify(text)} is neither a run id nor the name of a request to ${self}: see \`postern inbox list\``,
  );
}
