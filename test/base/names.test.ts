import { describe, expect, test } from "vitest";
import {
  isGatewayName,
  isNonce,
  isRequestDigest,
  isRunId,
  parseAgentAddress,
  parseAgentName,
  parseGatewayName,
  parseRealm,
  parseRunId,
} from "../../src/base/names.ts";
import { codeOf } from "./code-of.ts";

const label63 = "a".repeat(63);

describe("a gateway name", () => {
  test.each([
    "eu-lab",
    "lab.eu.example",
    "7",
    "a--b",
    label63,
    `${label63}.${"b".repeat(36)}`,
    "console",
    "com",
  ])("may be %s", (name) => {
    expect(parseGatewayName(name)).toBe(name);
  });

  test.each([
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a.",
    "-a",
    "a-",
    "A",
    "ä",
    "a_b",
    "a b",
    "a/b",
    "a\n",
    "a\u0000",
    "con",
    "nul",
    "lab.aux",
    "com1.lab",
    "lpt9",
    "prn",
    `${label63}a`,
    `${label63}.${"b".repeat(37)}`,
  ])("may not be %j", (name) => {
    expect(isGatewayName(name)).toBe(false);
    expect(codeOf(() => parseGatewayName(name))).toBe("NAME_INVALID");
  });
});

describe.each([
  ["an agent name", parseAgentName],
  ["a realm", parseRealm],
])("%s", (_, parse) => {
  test("is one label", () => {
    expect(parse("diagnose-2")).toBe("diagnose-2");
    for (const text of ["", "a.b", "A", "nul", "com0", `${label63}a`, "a\n"]) {
      expect(
        codeOf(() => parse(text)),
        text,
      ).toBe("NAME_INVALID");
    }
  });
});

describe("names in base32", () => {
  test("are of one length and alphabet", () => {
    const id = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst";
    expect([isRunId(id), isRequestDigest(id), isNonce(id.slice(0, 26))]).toEqual([
      true,
      true,
      true,
    ]);
    for (const text of [
      `${id}a`,
      id.slice(1),
      id.toUpperCase(),
      id.replace("a", "1"),
      `${id.slice(1)}\n`,
    ]) {
      expect([isRunId(text), isRequestDigest(text), isNonce(text)], text).toEqual([
        false,
        false,
        false,
      ]);
    }
    expect(codeOf(() => parseRunId("run-1"))).toBe("NAME_INVALID");
  });
});

describe("an agent's address", () => {
  test("is gateway/agent", () => {
    expect(parseAgentAddress("lab.eu/diagnose")).toEqual({ gateway: "lab.eu", agent: "diagnose" });
  });

  test.each(["lab", "lab/", "/a", "lab/a/b", "lab/A", "LAB/a", "lab/../a", ""])(
    "is not %j",
    (text) => {
      expect(codeOf(() => parseAgentAddress(text))).toBe("NAME_INVALID");
    },
  );
});
