/**
 * Lists what lies below a prefix of a folder store, page by page of one name, as a user to whom something there is
 * denied. Prints the names, or the code that it failed with, as JSON.
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { asPosternError } from "../../src/base/errors.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openFileStore } from "../../src/store/file.ts";

const nobody = 65_534;
const [folder = "", prefix = ""] = process.argv.slice(2);
const store = await openFileStore(folder, { clock: systemClock, random: systemRandom });
// Nothing is denied to the superuser.
if (process.getuid?.() === 0) {
  process.setgid?.(nobody);
  process.setuid?.(nobody);
}

async function listed(): Promise<readonly string[]> {
  const names: string[] = [];
  for (;;) {
    const after = names.at(-1);
    const page = { prefix, limit: 1, ...(after === undefined ? {} : { startAfter: after }) };
    const { entries, more } = await store.list(page);
    names.push(...entries.map(({ key }) => key));
    if (!more || names.length > 100) return names;
  }
}

const told = await listed().catch((thrown: unknown) => asPosternError(thrown).code);
writeSync(1, JSON.stringify(told));
