import { openHome, readTrust } from "../../../gateway/home.ts";
import { BaseCommand } from "../../base-command.ts";
import { table } from "../../output.ts";
import { grantsText, peerViews } from "../../peer-views.ts";

export default class PeersList extends BaseCommand {
  static override readonly summary = "List the gateways that are trusted, and what they may ask.";
  static override readonly examples = ["<%= config.bin %> peers list"];

  override async run(): Promise<void> {
    const { flags } = await this.parse(PeersList);
    const { home, json } = this.globalOptions(flags);
    const { paths } = openHome(home);
    const views = peerViews(readTrust(paths));
    if (json) return this.printJson(views);
    const rows = views.map(({ name, keys, grants }) => [
      name,
      grantsText(grants),
      keys.map(({ fingerprint }) => fingerprint).join(" "),
    ]);
    this.print(table(["NAME", "MAY ASK", "FINGERPRINT"], rows));
  }
}
