import { parseGatewayName } from "../../../base/names.ts";
import { openHome, readTrust } from "../../../gateway/home.ts";
import { requirePeer } from "../../../trust/edit.ts";
import { BaseCommand } from "../../base-command.ts";
import { peerArgs } from "../../edit-peer.ts";
import { fieldLines } from "../../field-lines.ts";
import { peerView } from "../../peer-views.ts";

export default class PeersShow extends BaseCommand {
  static override readonly summary = "Show one peer: its keys by fingerprint, and its grants.";
  static override readonly examples = ["<%= config.bin %> peers show eu-lab"];
  static override readonly args = peerArgs;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PeersShow);
    const { home, json } = this.globalOptions(flags);
    const name = parseGatewayName(args.name);
    const { paths } = openHome(home);
    const view = peerView(name, requirePeer(readTrust(paths), name));
    if (json) return this.printJson(view);
    const { keys, grants } = view;
    const keyFields = keys.map((key, index) => [`key ${index + 1}`, key] as const);
    this.print(fieldLines({ name, ...Object.fromEntries(keyFields), ...grants }));
  }
}
