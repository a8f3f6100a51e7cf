import { string } from "@oclif/core/args";
import { boolean } from "@oclif/core/flags";
import { systemClock } from "../../../base/clock.ts";
import { PosternError } from "../../../base/errors.ts";
import { openHome, readTrust, updateTrust } from "../../../gateway/home.ts";
import { fingerprintOf } from "../../../protocol/keys.ts";
import { addPeer, requirePeer } from "../../../trust/edit.ts";
import { BaseCommand } from "../../base-command.ts";
import { readCardInput } from "../../card-input.ts";
import { requireYes } from "../../confirm.ts";
import { grantingFlags, readGranting } from "../../granting-flags.ts";
import { note } from "../../note.ts";
import { grantsText, peerView } from "../../peer-views.ts";

export default class PeersAdd extends BaseCommand {
  static override readonly summary =
    "Trust a gateway by its card, and grant it what the flags name.";
  static override readonly description =
    "A card proves only that whoever holds its key wrote it: compare the fingerprint with the one its owner reads out. Without --agent or --tool the peer may be asked, and may ask nothing.";
  static override readonly examples = [
    "<%= config.bin %> peers add eu-lab.card",
    "<%= config.bin %> peers add postern1... --agent diagnose --yes",
    "pbpaste | <%= config.bin %> peers add - --agent lookup --tool usage --yes",
  ];
  static override readonly args = {
    card: string({
      description: "The card: a file, its text, or - for stdin.",
      required: true,
      ignoreStdin: true,
    }),
  };
  static override readonly flags = {
    ...grantingFlags,
    yes: boolean({ summary: "The fingerprint has been compared: do not ask." }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PeersAdd);
    const { home, json } = this.globalOptions(flags);
    const interruption = this.interruption();
    const granting = readGranting(flags);
    const { paths, config } = openHome(home);
    const nowMs = systemClock.now();
    const { card, signer } = await readCardInput(args.card, nowMs);
    const { gateway, realm } = card;
    if (gateway === config.gateway) {
      throw new PosternError(
        "CARD_INVALID",
        "that is this gateway's own card: exchange it for the other's",
      );
    }
    const added = addPeer(readTrust(paths), card, granting, nowMs);
    const asks = grantsText(requirePeer(added, gateway).grants ?? {});
    note(`${gateway} is to be allowed to ask: ${asks}`);
    note(`${gateway} in realm ${realm}, fingerprint\n  ${fingerprintOf(signer)}`);
    await requireYes("Is that what its owner reads out?", flags, interruption);
    const document = updateTrust(paths, (before) => addPeer(before, card, granting, nowMs));
    const peer = requirePeer(document, gateway);
    if (json) this.printJson(peerView(gateway, peer));
    else this.print(`${gateway} is a peer now; it may ask: ${asks}`);
  }
}
