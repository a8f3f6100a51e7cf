import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * All that lies below a folder, hidden files too: names, when each was last changed, and what files hold.
 * Equal ones mean that nothing was written there in between, not even what was removed again.
 */
export function treeOf(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return ["", ...names.toSorted()].map((name) => {
    const stats = lstatSync(join(folder, name), { bigint: true });
    const content = stats.isFile() ? readFileSync(join(folder, name), "base64") : "";
    return `${name} ${stats.ctimeNs} ${content}`;
  });
}
