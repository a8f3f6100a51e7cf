import { registerHooks } from "node:module";
import { mutations } from "./mutations/catalog.ts";
import { editedFiles } from "./mutations/mutation.ts";
import type { Search, SearchNews } from "./mutate.ts";

/**
 * One process that searches seeds as `search` tells it in its only parameter. Under a mutation, source text is
 * changed as it is loaded, before its types are taken away, and nowhere else.
 */
const { name, first, last, tells = false }: Search = JSON.parse(process.argv[2] ?? "");
const mutation = mutations.find((candidate) => candidate.name === name);
if (mutation === undefined && name !== undefined) throw new Error(`there is no mutation ${name}`);
const changed = mutation === undefined ? new Map<string, string>() : editedFiles(mutation);
const loaded = new Set<string>();

registerHooks({
  load(url, context, nextLoad) {
    const module = nextLoad(url, context);
    const source = changed.get(url);
    if (source === undefined) return module;
    loaded.add(url);
    return { ...module, source };
  },
});

// Loaded only now, so that the hook sees all of it.
const { simulate } = await import("./simulate.ts");
const { shrink } = await import("./shrink.ts");
const { storyOf } = await import("./story.ts");
const missed = [...changed.keys()].filter((url) => !loaded.has(url));
if (missed.length > 0) throw new Error(`the simulation never loads ${missed.join(", ")}`);

/** Under a mutation it is that promise that counts, and without one any. */
const sought = mutation === undefined ? "" : `promise ${mutation.breaks}:`;
const tell = (news: SearchNews): void => void process.send?.(news);
for (let seed = first; seed <= last; seed += 1) {
  const { violations } = await simulate(seed, { traced: false });
  if (!violations.some((violation) => violation.startsWith(sought))) continue;
  const story = tells ? storyOf(await shrink(await simulate(seed))) : "";
  tell({ seed, violations, story });
  break;
}
process.disconnect();
