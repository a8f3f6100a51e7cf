import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runTool, ToolError } from "../support/tool.ts";
import { checkModels, isAsPromised, lineOf } from "./check.ts";
import { mutations } from "./models.ts";
import { missingTools, searchStates, storyOf } from "./spin.ts";

const usage = `npm run model                                 all models to their end, and all mutations
npm run model -- --mutation NAME [--trail]    one mutation; with its trail, the shortest way to what it breaks
npm run model -- --list                       the mutations
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      mutation: { type: "string" },
      trail: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return say(usage, 0);
  if (values.list) return say(mutations.map(({ name }) => `${name}\n`).join(""), 0);
  const missing = await missingTools();
  if (missing.length > 0)
    throw new ToolError(
      `${missing.join(" and ")} cannot be run here: apt-get install spin gcc libc6-dev`,
    );
  if (values.mutation !== undefined) return look(values.mutation, values.trail);
  const all = await checkModels(availableParallelism(), (checked) =>
    say(`${lineOf(checked)}\n`, 0),
  );
  const failed = all.filter((checked) => !isAsPromised(checked));
  const found = mutations.length - failed.filter(({ mutation }) => mutation !== undefined).length;
  const states = all
    .filter(({ mutation }) => mutation === undefined)
    .reduce((sum, { searched }) => sum + searched.states, 0);
  return say(
    `${states} states, ${found} of ${mutations.length} mutations found, ${failed.length} failures\n`,
    failed.length === 0 ? 0 : 1,
  );
}

async function look(name: string, trail: boolean): Promise<number> {
  const mutation = mutations.find((each) => each.name === name);
  if (mutation === undefined) throw new ToolError(`there is no mutation ${name}: see --list`);
  const { search } = mutation;
  if (trail) return say(`${(await storyOf(search, name)).join("\n")}\n`, 0);
  const checked = { search, mutation, searched: await searchStates(search, name) };
  return say(`${lineOf(checked)}\n`, isAsPromised(checked) ? 0 : 1);
}

function say(text: string, status: number): number {
  process.stdout.write(text);
  return status;
}

await runTool(usage, main);
