import { writeFileSync } from "node:fs";
import path from "node:path";
import { string } from "@oclif/core/args";
import { Command } from "@oclif/core/command";
import { bashCompletion } from "../bash-completion.ts";

/**
 * In the place of the plugin's command of this name, whose function for bash completes flags right after a
 * command's name only, and prints a failure of sed where a word has a slash, as every address has. The function
 * for zsh is the plugin's.
 */
export default class Autocomplete extends Command {
  static override readonly summary = "Complete commands and flags in bash or zsh.";
  static override readonly description =
    "Writes the completions into the cache folder, and prints what your shell's settings need. Run it again after an upgrade.";
  static override readonly examples = [
    "<%= config.bin %> autocomplete bash >> ~/.bashrc",
    "<%= config.bin %> autocomplete zsh >> ~/.zshrc",
  ];
  static override readonly args = {
    shell: string({
      description: "Your shell.",
      options: ["bash", "zsh"],
      required: true,
      ignoreStdin: true,
    }),
  };

  override async run(): Promise<void> {
    const { args } = await this.parse(Autocomplete);
    const { bin, cacheDir, commands } = this.config;
    await this.config.runCommand("autocomplete:create", []);
    const functions = path.join(cacheDir, "autocomplete", "functions");
    const forBash = path.join(functions, "bash", `${bin}.bash`);
    const shown = commands.filter(({ hidden }) => !hidden);
    writeFileSync(forBash, bashCompletion(bin, shown));
    if (args.shell === "bash") this.log(`source ${quoted(forBash)}`);
    else
      this.log(
        `fpath=(${quoted(path.join(functions, "zsh"))} $fpath)\nautoload -Uz compinit && compinit`,
      );
  }
}

/** One word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
