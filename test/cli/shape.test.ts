import { expect, test } from "vitest";
import { shapeOf } from "./support/shape.ts";

test.each([
  [
    "scalars",
    { a: "x", b: 1, c: true, d: null },
    { a: "string", b: "number", c: "boolean", d: "null" },
  ],
  ["lists of scalars", [["a", "b"], [], [1, null]], "(string[] | [] | (number | null)[])[]"],
  [
    "objects that differ",
    [{ a: 1 }, { a: null, b: [{ c: "x" }] }],
    [{ a: "number | null", "b?": [{ c: "string" }] }],
  ],
  [
    "a field that is now this, now that",
    [{ a: {} }, { a: "x" }],
    [{ a: { "one of": [{}, "string"] } }],
  ],
])("the shape of %s", (_, value, expected) => {
  expect(shapeOf(value)).toEqual(expected);
});
