import { describe, expect, test } from "vitest";
import { z } from "zod";
import { utf8 } from "../../src/base/bytes.ts";
import { formatDocument, pathText, readJsonDocument } from "../../src/base/json-document.ts";
import { codeOf } from "./code-of.ts";

const kind = { name: "x.json", code: "CONFIG_INVALID", maxBytes: 200 } as const;
const anything = z.unknown();

function read(input: string | Uint8Array, schema: z.ZodType = anything): unknown {
  return readJsonDocument(typeof input === "string" ? utf8(input) : input, schema, kind);
}

describe("a JSON document", () => {
  test("is what JSON.parse makes of it", () => {
    const text = String.raw`{"a":[{"b":1},{"b":2}],"{":"}","q\"":"[\\","n":{"a":null},"\u0061b":"a:b"}`;
    expect(read(text)).toEqual(JSON.parse(text));
    expect(read(" [] \n")).toEqual([]);
  });

  test.each([
    ["no JSON", "{a:1}", "not JSON"],
    ["empty", "", "not JSON"],
    ["followed by something else", '{"a":1} x', "not JSON"],
    ["followed by another document", "{}{}", "not JSON"],
    ["with a comment", "{/* a */}", "not JSON"],
    ["with a byte order mark", "\ufeff{}", "byte order mark"],
    ["too large", `"${"x".repeat(200)}"`, "200"],
    ["with one key twice", '{"a":1,"b":{"a":2},"a":3}', '"a" stands twice'],
    ["with one key twice below", '{"l":[{"a":1,"a":1}]}', '"a" stands twice'],
    ["with one key twice in two spellings", String.raw`{"a":1,"\u0061":2}`, '"a" stands twice'],
    ["with one key twice and space before the colon", '{"a" :1,"a"\n:2}', '"a" stands twice'],
    ["with a prototype", '{"__proto__":{"a":1}}', "__proto__"],
    ["with a prototype in another spelling", String.raw`{"\u005f_proto__":1}`, "__proto__"],
  ])("that is %s refuses and says so", (_, text, says) => {
    expect(codeOf(() => read(text))).toBe("CONFIG_INVALID");
    expect(() => read(text)).toThrow(says);
    expect(() => read(text)).toThrow("x.json");
  });

  test("that is no UTF-8 refuses", () => {
    expect(codeOf(() => read(new Uint8Array([0x22, 0xff, 0x22])))).toBe("CONFIG_INVALID");
  });

  test("says the place, the value and what to do, for several faults at once", () => {
    const schema = z.strictObject({
      n: z.int("use an integer").exactOptional(),
      list: z.array(z.strictObject({ of: z.enum(["a", "b"]) })),
      u: z.union([z.literal(true), z.string("use a text")]).exactOptional(),
    });
    const fails = (text: string): void => void read(text, schema);
    expect(() => fails('{"n":1.5,"list":[{"of":"c"}],"extra":1}')).toThrow(
      /^x\.json: n is 1\.5: use an integer; list\[0\]\.of is "c": .*"a"\|"b"; extra: no such field/,
    );
    expect(() => fails("{}")).toThrow(/list is missing/);
    expect(() => fails('{"list":[],"u":7}')).toThrow(/u is 7: .*true, or use a text/);
    expect(() => fails("[]")).toThrow(/the document is \[\]/);
    expect(() => fails(`{"list":[],"n":"${"y".repeat(100)}"}`)).toThrow(/y\.\.\.: use an integer$/);
    expect(() => fails('{"list":[1,2,3,4,5,6,7]}')).toThrow(/and 2 more$/);
  });
});

test("of a document in one of several forms, says what is wrong with the one that is meant", () => {
  const schema = z.union(
    [
      z.strictObject({ file: z.string("use a text"), mode: z.enum(["r", "w"]).exactOptional() }),
      z.strictObject({ url: z.string("use a URL") }),
    ],
    "use one of file and url",
  );
  const fails = (text: string): void => void read(text, schema);
  expect(() => fails('{"file":"f","mode":"x"}')).toThrow(/^x\.json: mode is "x": [^;]*$/);
  expect(() => fails('{"url":7,"mode":"r"}')).toThrow(
    /^x\.json: url is 7: use a URL; mode: no such/,
  );
  for (const text of ["{}", '{"mode":"r"}', '{"file":"f","url":"u"}', "7"])
    expect(() => fails(text)).toThrow(/^x\.json: the document is [^;]*: use one of file and url$/);
});

test("a path reads as one would write it", () => {
  expect(pathText([])).toBe("");
  expect(pathText(["peers", "eu.lab", "keys", 0, "use"])).toBe('peers["eu.lab"].keys[0].use');
});

test("a document is written for people, with a line end", () => {
  expect(formatDocument({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}\n');
});
