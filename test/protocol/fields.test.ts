import { describe, expect, test } from "vitest";
import { isAgentName } from "../../src/base/names.ts";
import type { CborValue } from "../../src/protocol/cbor.ts";
import { Fields, toJson } from "../../src/protocol/fields.ts";
import { codeOf } from "../base/code-of.ts";

const fields = new Fields(
  new Map<string | number, CborValue>([
    ["text", "é"],
    ["integer", 7],
    ["fraction", 0.5],
    ["yes", true],
    ["nil", null],
    ["bytes", Uint8Array.of(1, 2)],
    ["list", [1, "a"]],
    ["map", new Map([["inner", "x"]])],
    [1, "by number"],
  ]),
  "thing",
);

describe("reading fields", () => {
  test("gives what is there", () => {
    expect(fields.text("text", { maxBytes: 2 })).toBe("é");
    expect(fields.name("text", "a text", (text): text is "é" => text === "é")).toBe("é");
    expect(fields.oneOf("text", ["e", "é"])).toBe("é");
    expect(fields.integer("integer", 7, 7)).toBe(7);
    expect(fields.boolean("yes")).toBe(true);
    expect(fields.bytes("bytes", 2)).toEqual(Uint8Array.of(1, 2));
    expect(fields.byteString("bytes", 2)).toEqual(Uint8Array.of(1, 2));
    expect(fields.list("list", 2)).toEqual([1, "a"]);
    expect(fields.map("map").text("inner", { maxBytes: 1 })).toBe("x");
    expect(fields.json("nil")).toBeNull();
    expect(fields.json("list")).toEqual([1, "a"]);
    expect(fields.names()).toContain("integer");
  });

  test("gives undefined for an optional field only when it is absent", () => {
    expect(fields.optionalText("none", { maxBytes: 1 })).toBeUndefined();
    expect(fields.optionalName("none", "an agent name", isAgentName)).toBeUndefined();
    expect(fields.optionalInteger("none", 0)).toBeUndefined();
    expect(fields.optionalMap("none")).toBeUndefined();
    expect(fields.optionalJson("none")).toBeUndefined();
    expect(fields.optionalInteger("integer", 0)).toBe(7);
    expect(codeOf(() => fields.optionalText("nil", { maxBytes: 1 }))).toBe("PAYLOAD_INVALID");
    expect(codeOf(() => fields.optionalMap("nil"))).toBe("PAYLOAD_INVALID");
  });

  test.each<[string, () => unknown]>([
    ["a text with too many bytes", () => fields.text("text", { maxBytes: 1 })],
    ["a text with too few bytes", () => fields.text("text", { maxBytes: 9, minBytes: 3 })],
    ["a text that is absent", () => fields.text("none", { maxBytes: 9 })],
    ["a text that is a number", () => fields.text("integer", { maxBytes: 9 })],
    ["a name of another shape", () => fields.name("text", "an agent name", isAgentName)],
    ["none of the choices", () => fields.oneOf("text", ["a", "b"])],
    ["an integer too small", () => fields.integer("integer", 8)],
    ["an integer too large", () => fields.integer("integer", 0, 6)],
    ["a fraction as integer", () => fields.integer("fraction", 0)],
    ["a truth that is a number", () => fields.boolean("integer")],
    ["bytes of another length", () => fields.bytes("bytes", 3)],
    ["bytes that are a text", () => fields.byteString("text", 9)],
    ["more bytes than allowed", () => fields.byteString("bytes", 1)],
    ["a list too long", () => fields.list("list", 1)],
    ["a list that is a map", () => fields.list("map", 9)],
    ["a map that is a list", () => fields.map("list")],
    ["a JSON value that is absent", () => fields.json("none")],
    ["a JSON value with bytes", () => fields.json("bytes")],
    ["a field of the prototype", () => fields.json("constructor")],
    ["no map at all", () => new Fields([], "thing")],
    ["nothing", () => new Fields(undefined, "thing")],
  ])("refuses %s", (_, read) => {
    expect(codeOf(read)).toBe("PAYLOAD_INVALID");
  });

  test("says where it was", () => {
    expect(() => fields.map("map").integer("inner", 0)).toThrow(/^thing\.map\.inner must be/);
  });
});

describe("JSON values", () => {
  test("are plain data, whatever their keys are called", () => {
    const value = new Map<string, CborValue>([
      ["__proto__", new Map([["polluted", true]])],
      ["list", [null, 1.5, new Map()]],
    ]);
    const json = toJson(value, "thing");
    expect(JSON.stringify(json)).toBe('{"__proto__":{"polluted":true},"list":[null,1.5,{}]}');
    expect(Object.getPrototypeOf(json)).toBe(Object.prototype);
  });

  test("have no bytes and no keys but texts, at any depth", () => {
    expect(codeOf(() => toJson([[Uint8Array.of(1)]], "thing"))).toBe("PAYLOAD_INVALID");
    expect(codeOf(() => toJson([new Map([[1, 1]])], "thing"))).toBe("PAYLOAD_INVALID");
  });
});
