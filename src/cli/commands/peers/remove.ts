import { boolean } from "@oclif/core/flags";
import { systemClock } from "../../../base/clock.ts";
import { parseGatewayName } from "../../../base/names.ts";
import { openHome, readTrust } from "../../../gateway/home.ts";
import { removePeer, requirePeer } from "../../../trust/edit.ts";
import { BaseCommand } from "../../base-command.ts";
import { requireYes } from "../../confirm.ts";
import { editShownPeer, peerArgs } from "../../edit-peer.ts";
import { note } from "../../note.ts";
import { grantsText, peerView } from "../../peer-views.ts";

const whatFollows =
  "Its runs here are stopped at the next look and end interrupted, its requests that wait go to quarantine as PEER_UNKNOWN, and nothing that it answers is believed from then on.";
const revokeRather =
  'A removed peer can be added again: a key that must never be believed again is better kept, and marked "revoked": true in trust.json.';

export default class PeersRemove extends BaseCommand {
  static override readonly summary = "Trust a gateway no more.";
  static override readonly description = `${whatFollows} ${revokeRather}`;
  static override readonly examples = ["<%= config.bin %> peers remove eu-lab"];
  static override readonly args = peerArgs;
  static override readonly flags = {
    yes: boolean({ summary: "Do not ask." }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PeersRemove);
    const { home, json } = this.globalOptions(flags);
    const interruption = this.interruption();
    const name = parseGatewayName(args.name);
    const { paths } = openHome(home);
    const shown = readTrust(paths);
    const view = peerView(name, requirePeer(shown, name));
    const keys = view.keys.map(({ fingerprint }) => `\n  ${fingerprint}`).join("");
    note(`${name} may ask: ${grantsText(view.grants)}; its keys${keys}`);
    note(`${whatFollows}\n${revokeRather}`);
    await requireYes(`Remove ${name}?`, flags, interruption);
    const nowMs = systemClock.now();
    editShownPeer(paths, name, shown, (document) => removePeer(document, name, nowMs));
    if (json) this.printJson(view);
    else this.print(`${name} is no peer any more`);
  }
}
