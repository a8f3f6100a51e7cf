import { expect, test } from "vitest";
import { commands, type CommandManifest } from "./support/manifest.ts";

/**
 * What scripts rely on: every command with what it takes. After a change that is meant, write the file anew by
 * `npm test -- test/cli/commands.test.ts --update`, and look at what changed.
 */
test("the commands, and what each takes, are those that are written down", async () => {
  const all = commands().map((command) => [command.id.replaceAll(":", " "), surfaceOf(command)]);
  const text = `${JSON.stringify(Object.fromEntries(all), undefined, 2)}\n`;
  await expect(text).toMatchFileSnapshot("commands.snapshot.json");
});

function surfaceOf({ args, flags }: CommandManifest) {
  const words = Object.entries(args).map(([name, arg]) => [name, argText(arg)]);
  const named = Object.entries(flags)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, flag]) => [`--${name}`, flagText(flag)]);
  return { args: Object.fromEntries(words), flags: Object.fromEntries(named) };
}

function argText({ required, options }: CommandManifest["args"][string]): string {
  return textOf(options?.join("|") ?? "text", { required });
}

function flagText({ type, char, options, ...rest }: CommandManifest["flags"][string]): string {
  const takes = type === "boolean" ? "no value" : (options?.join("|") ?? "value");
  return textOf(char === undefined ? takes : `-${char}, ${takes}`, rest);
}

/** The kind, and each property that is set. */
function textOf(kind: string, properties: object): string {
  const set = Object.entries(properties)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([name, value]) => (value === true ? name : `${name}: ${String(value)}`));
  return [kind, ...set].join("; ");
}
