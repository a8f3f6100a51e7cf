import { string } from "@oclif/core/args";
import { boolean, string as stringFlag } from "@oclif/core/flags";
import { systemClock } from "../../../base/clock.ts";
import { PosternError } from "../../../base/errors.ts";
import { parseAgentName } from "../../../base/names.ts";
import { openHome, updateTrust } from "../../../gateway/home.ts";
import { fingerprintOf } from "../../../protocol/keys.ts";
import { addPeer } from "../../../trust/edit.ts";
import { BaseCommand } from "../../base-command.ts";
import { readCardInput } from "../../card-input.ts";
import { confirm } from "../../confirm.ts";
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
    agent: stringFlag({
      summary: "An agent that the peer may ask; may be given several times.",
      helpValue: "NAME",
      multiple: true,
      multipleNonGreedy: true,
    }),
    tool: stringFlag({
      summary: "A tool that the peer may call; may be given several times.",
      helpValue: "NAME",
      multiple: true,
      multipleNonGreedy: true,
    }),
    yes: boolean({ summary: "The fingerprint has been compared: do not ask." }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PeersAdd);
    const { home, json } = this.globalOptions(flags);
    const interruption = this.interruption();
    const granting = { agents: (flags.agent ?? []).map(parseAgentName), tools: flags.tool ?? [] };
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
    note(`${gateway} in realm ${realm}, fingerprint\n  ${fingerprintOf(signer)}`);
    if (!flags.yes && !(await confirm("Is that what its owner reads out?", interruption))) {
      throw new PosternError("USAGE", "nothing was changed");
    }
    const document = updateTrust(paths, (before) => addPeer(before, card, granting, nowMs));
    const peer = document.peers[gateway];
    if (peer === undefined) throw new PosternError("INTERNAL", "the peer was not written");
    if (json) this.printJson(peerView(gateway, peer));
    else this.print(`${gateway} is a peer now; it may ask: ${grantsText(peer.grants ?? {})}`);
  }
}
