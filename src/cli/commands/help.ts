import { Command } from "@oclif/core/command";
import { string } from "@oclif/core/args";
import { loadHelpClass } from "@oclif/core/help";

/** `postern help runs list`, as well as `postern runs list --help`. */
export default class HelpCommand extends Command {
  static override readonly summary = "Show what a command does.";
  static override readonly examples = ["<%= config.bin %> help runs list"];
  static override readonly strict = false;
  static override readonly args = {
    command: string({ description: "The command to show, with its topic." }),
  };

  override async run(): Promise<void> {
    const { argv } = await this.parse(HelpCommand);
    const Help = await loadHelpClass(this.config);
    await new Help(this.config, this.config.pjson.oclif.helpOptions).showHelp(argv.map(String));
  }
}
