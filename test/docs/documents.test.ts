import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { commands } from "../cli/support/manifest.ts";
import {
  anchorsOf,
  citationsOf,
  commandLinesOf,
  definitionsOf,
  linksOf,
  namedLinksOf,
} from "../support/markdown.ts";

const root = path.join(import.meta.dirname, "../..");
const documents = globSync(["*.md", "docs/**/*.md", "src/**/*.md"], { cwd: root });
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

/** Why a link leads nowhere; undefined where it leads somewhere. */
function faultOf(document: string, link: string): string | undefined {
  const [target = "", fragment] = link.split("#");
  const file = target === "" ? document : path.join(path.dirname(document), target);
  if (!existsSync(path.join(root, file))) return `${link}: there is no ${file}`;
  if (fragment === undefined || anchorsOf(read(file)).has(fragment)) return undefined;
  return `${link}: ${file} has no such heading`;
}

/** Whether a command line begins with a command of the program and has no flag that this one does not take. */
function isCommand(line: string): boolean {
  const command = commands().find(({ id }) => `${line} `.startsWith(`${id.replaceAll(":", " ")} `));
  const flags = [...line.matchAll(/(?<= )--([a-z-]+)/g)].map(([, flag]) => flag ?? "");
  return command !== undefined && flags.every((flag) => Object.hasOwn(command.flags, flag));
}

describe.each(documents)("%s", (document) => {
  const text = read(document);

  it("links only to what is there", () => {
    const inside = linksOf(text).filter((link) => !/^https?:/.test(link));
    expect(inside.map((link) => faultOf(document, link)).filter(Boolean)).toEqual([]);
  });

  it("names the links that it defines, and no others", () => {
    const defined = [...definitionsOf(text).keys()];
    const named = defined.length === 0 ? [] : namedLinksOf(text);
    expect(defined).toEqual([...new Set(named)].toSorted());
  });

  it("names only commands that there are, with flags that they take", () => {
    expect(commandLinesOf(text).filter((line) => !isCommand(line))).toEqual([]);
  });

  it("cites only tests that there are", () => {
    const missing = citationsOf(text).filter(({ file, test }) => {
      const source = read(path.join(path.dirname(document), file));
      return !source.includes(`"${test}`) && !source.includes(`\`${test}`);
    });
    expect(missing).toEqual([]);
  });
});
