import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { boolean, string } from "@oclif/core/flags";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { BaseCommand } from "../base-command.ts";
import { Children } from "../demo/child.ts";
import { runDemo } from "../demo/demo.ts";
import { summaryOf } from "../demo/report.ts";
import { note } from "../note.ts";

export default class Demo extends BaseCommand {
  static override readonly summary =
    "Two gateways, a delegated task, and the proof, in one minute.";
  static override readonly description =
    "Makes two homes in a temporary folder, lets one gateway ask an agent behind the other, sends a duplicate and a forgery, and has a third process count what happened.";
  static override readonly examples = [
    "<%= config.bin %> demo",
    "<%= config.bin %> demo --store 's3://bucket/demo?endpoint=http://127.0.0.1:9000' --json",
  ];
  static override readonly flags = {
    store: string({
      summary: "Meet in this store [default: a temporary folder].",
      helpValue: "URL",
    }),
    keep: boolean({ summary: "Leave everything where it lies, and say where." }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Demo);
    const { json } = this.globalOptions(flags);
    const signal = this.interruption();
    const folder = mkdtempSync(path.join(os.tmpdir(), "postern-demo-"));
    using children = new Children(path.join(this.config.root, "bin", "postern"), signal);
    try {
      const report = await runDemo({
        folder,
        storeUrl: flags.store,
        keep: flags.keep,
        children,
        clock: systemClock,
        random: systemRandom,
        tell: (line) => {
          if (!json) this.print(line);
        },
        stream: (text) => {
          if (!json) this.write(text);
        },
      });
      if (json) this.printJson(report);
      else this.print(summaryOf(report));
      if (flags.keep) note(`everything lies in ${folder}`);
    } finally {
      if (!flags.keep) rmSync(folder, { recursive: true, force: true });
    }
  }
}
