import { boolean } from "@oclif/core/flags";
import { systemClock } from "../../../base/clock.ts";
import { PosternError } from "../../../base/errors.ts";
import { parseGatewayName } from "../../../base/names.ts";
import { openHome, readTrust } from "../../../gateway/home.ts";
import { grantPeer, requirePeer } from "../../../trust/edit.ts";
import { BaseCommand } from "../../base-command.ts";
import { requireYes } from "../../confirm.ts";
import { editShownPeer, peerArgs } from "../../edit-peer.ts";
import { grantingFlags, readGranting } from "../../granting-flags.ts";
import { note } from "../../note.ts";
import { grantChanges, grantsText, peerView } from "../../peer-views.ts";

export default class PeersGrant extends BaseCommand {
  static override readonly summary = "Let a peer ask more; a number takes the place of the former.";
  static override readonly description =
    "Adds to what is granted, and takes nothing away: that is done in trust.json. Every kind that is granted holds for every agent that is. Shows what changes, and asks.";
  static override readonly examples = [
    "<%= config.bin %> peers grant support --agent diagnose",
    "<%= config.bin %> peers grant support --agent lookup --tool usage --kind toolCall --yes",
    "<%= config.bin %> peers grant support --max-concurrent-runs 4 --max-requests-per-minute 120",
  ];
  static override readonly args = peerArgs;
  static override readonly flags = {
    ...grantingFlags,
    yes: boolean({ summary: "Do not ask." }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PeersGrant);
    const { home, json } = this.globalOptions(flags);
    const interruption = this.interruption();
    const name = parseGatewayName(args.name);
    const granting = readGranting(flags);
    if (Object.keys(granting).length === 0) {
      const names = Object.keys(grantingFlags).map((flag) => `--${flag}`);
      throw new PosternError("USAGE", `say what to grant: ${names.join(", ")}`);
    }
    const { paths } = openHome(home);
    const nowMs = systemClock.now();
    const shown = readTrust(paths);
    const changes = grantChanges(name, shown, grantPeer(shown, name, granting, nowMs));
    let document = shown;
    if (changes.length > 0) {
      note(`what ${name} may ask:\n  ${changes.join("\n  ")}`);
      await requireYes("Grant that?", flags, interruption);
      document = editShownPeer(paths, name, shown, (before) =>
        grantPeer(before, name, granting, nowMs),
      );
    } else note(`${name} is granted that already: nothing was changed`);
    const peer = requirePeer(document, name);
    if (json) this.printJson(peerView(name, peer));
    else this.print(`${name} may ask: ${grantsText(peer.grants ?? {})}`);
  }
}
