import { describe, expect, test } from "vitest";
import { splitCommandLine } from "../../src/gateway/command-line.ts";
import { codeOf } from "../base/code-of.ts";

describe("a command line", () => {
  test.each<[string, string[]]>([
    ["node agent.js", ["node", "agent.js"]],
    ["  a \t b\n", ["a", "b"]],
    ["a 'b c' \"d e\"", ["a", "b c", "d e"]],
    [`a 'it'"'"'s' x"y z"w`, ["a", "it's", "xy zw"]],
    ["a '' \"\"", ["a", "", ""]],
    [String.raw`a\ b \'c \\`, ["a b", "'c", "\\"]],
    [String.raw`a "x\"y\\z\n" 'p\q'`, ["a", String.raw`x"y\z\n`, String.raw`p\q`]],
    ["echo $HOME *.js ~ `id` a&b", ["echo", "$HOME", "*.js", "~", "`id`", "a&b"]],
    ["sh -c 'a | b > c'", ["sh", "-c", "a | b > c"]],
    [
      String.raw`find . -exec ls {} \; '|' "&&"`,
      ["find", ".", "-exec", "ls", "{}", ";", "|", "&&"],
    ],
    ["é 'ü ö' 😀", ["é", "ü ö", "😀"]],
  ])("%s is split into its words, and nothing in it is expanded", (text, words) => {
    expect(splitCommandLine(text)).toEqual(words);
  });

  test.each([
    ["a 'b", "'"],
    ['a "b', '"'],
    [String.raw`a "b\"`, '"'],
    ["a \\", "\\"],
    ["", "program"],
    [" \t", "program"],
    ["'' a", "program"],
    ["a | b", "sh -c"],
    ["a > b", "sh -c"],
    ["a && b", "sh -c"],
    ["a ;", "sh -c"],
    ["a 2>&1", "sh -c"],
  ])("%s is refused with what is wrong", (text, says) => {
    expect(codeOf(() => splitCommandLine(text))).toBe("USAGE");
    expect(() => splitCommandLine(text)).toThrow(says);
  });
});
