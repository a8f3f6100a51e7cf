import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { codesIn } from "../cli/support/pair.ts";
import { blocksOf } from "../support/markdown.ts";
import { Shell, type ShellEnded } from "../support/shell.ts";

const text = readFileSync(join(import.meta.dirname, "../../docs/air-gap.md"), "utf8");
const [makeHq = "", makeLab = "", trustLab = "", ask = "", pass = "", read = ""] = blocksOf(
  text,
  "sh",
);

let folder: string;
let disk: string;
let shell: Shell;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-air-gap-"));
  disk = join(folder, "usb");
  mkdirSync(disk);
  shell = new Shell(folder);
  shell.stub("mountpoint", 'test -d "$2"');
  shell.stub("umount", 'mv "$1" "$1-pulled"');
});
afterEach(() => rmSync(folder, { recursive: true }));

const plugIn = (): void => renameSync(`${disk}-pulled`, disk);

/** A block of the document, on one of the two machines. */
function on(machine: string, block: string): Promise<ShellEnded> {
  const script = `set -eu\n${block.replaceAll("/media/usb", disk)}`;
  return shell.run(script, { POSTERN_HOME: join(folder, machine) });
}

it(
  "two machines that share nothing but a carried disk do what the document says",
  { timeout: 120_000 },
  async () => {
    for (const [machine, block] of [
      ["hq", makeHq],
      ["lab", makeLab],
      ["hq", trustLab],
      ["hq", "umount /media/usb"],
    ] as const)
      expect(await on(machine, block), block).toMatchObject({ status: 0 });

    // Without the disk a request is kept, and nothing is written where the disk would be.
    const asked = await on("hq", ask);
    expect([asked.status, codesIn(asked.stderr)]).toEqual([3, ["STORE_MISSING"]]);
    expect(readdirSync(folder)).not.toContain("usb");
    expect(await on("hq", pass)).toMatchObject({ status: 1, stderr: "" });

    for (const machine of ["hq", "lab", "hq"]) {
      plugIn();
      expect(await on(machine, pass), machine).toEqual({ status: 0, stdout: "", stderr: "" });
    }
    const answer = await on("hq", read);
    expect(answer.status).toBe(0);
    expect(answer.stdout).toMatch(/^Filesystem/);
  },
);
