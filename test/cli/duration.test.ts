import { describe, expect, test } from "vitest";
import { asPosternError } from "../../src/base/errors.ts";
import { formatDuration, parseDuration, roughDuration } from "../../src/cli/duration.ts";

describe("a length of time", () => {
  test.each([
    ["500ms", 500],
    ["60s", 60_000],
    ["2m", 120_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
  ])("%s is %d milliseconds, and is written so again", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  });

  test.each([
    "",
    "5",
    "s",
    "0s",
    "-1s",
    "1.5h",
    "1h30m",
    " 1s",
    "1 s",
    "1S",
    "1w",
    "99999999999999d",
    "٣s",
  ])("%j is none: USAGE", (text) => {
    expect(codeOf(() => parseDuration(text))).toBe("USAGE");
  });

  test("is written in the largest unit that leaves a whole number", () => {
    expect([0, 1, 1500, 90_000, 3_600_000].map(formatDuration)).toEqual([
      "0ms",
      "1ms",
      "1500ms",
      "90s",
      "1h",
    ]);
  });

  test("is told roughly in whole units of the largest that fits", () => {
    const told = [0, 999, 1999, 119_999, 7_199_999, 172_799_999].map(roughDuration);
    expect(told).toEqual(["0s", "999ms", "1s", "1m", "1h", "1d"]);
  });
});

function codeOf(act: () => unknown): string {
  try {
    act();
    return "none";
  } catch (thrown) {
    return asPosternError(thrown).code;
  }
}
