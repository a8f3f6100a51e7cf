import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fieldLines } from "../../src/cli/field-lines.ts";
import { jsonLine, safeText, table } from "../../src/cli/output.ts";

const hostile = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const anyText = fc.string({ unit: "binary" });

describe("safeText", () => {
  test("spells out escape sequences, in one byte or two", () => {
    expect(safeText("\u001b[2Jgone")).toBe("\\u{1b}[2Jgone");
    expect(safeText("\u009b2Jgone")).toBe("\\u{9b}2Jgone");
  });

  test("spells out bidi overrides, tags and half surrogates", () => {
    expect(safeText("a\u202eb\u2066c")).toBe("a\\u{202e}b\\u{2066}c");
    expect(safeText("\u{e0041}")).toBe("\\u{e0041}");
    expect(safeText("\ud800")).toBe("\\u{d800}");
  });

  test("keeps a text on its line unless it is prose", () => {
    expect(safeText("a\nb\tc")).toBe("a\\u{a}b\\u{9}c");
    expect(safeText("a\nb\tc", { multiline: true })).toBe("a\nb\tc");
  });

  test("lets no carriage return rewrite a line of prose", () => {
    expect(safeText("safe\rfake\r\nnext", { multiline: true })).toBe("safe\\u{d}fake\nnext");
  });

  test("leaves letters of all scripts and emoji as they are", () => {
    const prose = "Größe 日本語 می‌خواهم 👩‍💻 é";
    expect(safeText(prose, { multiline: true })).toBe(prose);
  });

  test("lets nothing hostile through, whatever the text", () => {
    fc.assert(fc.property(anyText, (text) => !hostile.test(safeText(text))));
  });
});

describe("jsonLine", () => {
  test("is one line that a parser reads as the same value, with nothing hostile in it", () => {
    fc.assert(
      fc.property(fc.array(anyText), (texts) => {
        const line = jsonLine(texts);
        expect(line).not.toMatch(hostile);
        expect(JSON.parse(line)).toEqual(texts);
      }),
    );
  });
});

describe("table", () => {
  test("lines its columns up under the head", () => {
    const rows = [
      ["a", "first"],
      ["longer", "é"],
    ];
    expect(table(["NAME", "WHAT"], rows)).toBe("NAME    WHAT\na       first\nlonger  é");
  });

  test("lets no cell break out of its line", () => {
    expect(table(["NAME"], [["a\nFAKE ROW\u001b[A"]]).split("\n")).toHaveLength(2);
  });

  test("is only a head without rows", () => {
    expect(table(["NAME", "WHAT"], [])).toBe("NAME  WHAT");
  });
});

describe("a record's lines", () => {
  test("are one for each field that says something, whatever a text holds", () => {
    const record = { name: "a\nverified  true\u2028", none: null, list: ["\u009b2J"], yes: true };
    expect(fieldLines(record).split("\n")).toEqual([
      String.raw`name  a\u{a}verified  true\u{2028}`,
      String.raw`list  ["\u{9b}2J"]`,
      "yes   true",
    ]);
  });
});
