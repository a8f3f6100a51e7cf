import { expect, test } from "vitest";
import { isoSeconds, isoTime } from "../../src/cli/iso-time.ts";

test("a moment is written as a date, and one that no date reaches as the last one", () => {
  expect(isoTime(0)).toBe("1970-01-01T00:00:00.000Z");
  expect(isoSeconds(1_900_000_000)).toBe("2030-03-17T17:46:40.000Z");
  expect(isoSeconds(Number.MAX_SAFE_INTEGER)).toBe("+275760-09-13T00:00:00.000Z");
  expect([isoSeconds(null), isoSeconds(undefined)]).toEqual([null, null]);
});
