import { string } from "@oclif/core/args";
import { PosternError } from "../../../base/errors.ts";
import { openHome, readTrust } from "../../../gateway/home.ts";
import { BaseCommand } from "../../base-command.ts";
import { fieldLines } from "../../field-lines.ts";
import { peerViews } from "../../peer-views.ts";

export default class PeersShow extends BaseCommand {
  static override readonly summary = "Show one peer: its keys by fingerprint, and its grants.";
  static override readonly examples = ["<%= config.bin %> peers show eu-lab"];
  static override readonly args = {
    name: string({ description: "The peer's name.", required: true, ignoreStdin: true }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(PeersShow);
    const { home, json } = this.globalOptions(flags);
    const { paths } = openHome(home);
    const view = peerViews(readTrust(paths)).find(({ name }) => name === args.name);
    if (view === undefined) {
      const shown = JSON.stringify(args.name);
      throw new PosternError("PEER_UNKNOWN", `${shown} is no peer: see \`postern peers list\``);
    }
    if (json) return this.printJson(view);
    const { name, keys, grants } = view;
    const keyFields = keys.map((key, index) => [`key ${index + 1}`, key] as const);
    this.print(fieldLines({ name, ...Object.fromEntries(keyFields), ...grants }));
  }
}
