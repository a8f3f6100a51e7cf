import { describe, expect, test } from "vitest";
import { checkModels, isAsPromised, lineOf } from "./check.ts";
import { mutations, searches } from "./models.ts";
import { missingTools, readReport } from "./spin.ts";

const missing = await missingTools();
if (missing.length > 0) {
  process.stdout.write(
    `\nMODEL SKIPPED: it is not searched here, for want of ${missing.join(", ")}\n`,
  );
}

describe.skipIf(missing.length > 0)("the formal model", { timeout: 1_800_000 }, () => {
  test("keeps every promise within its bounds, and breaks one under each mutation", async () => {
    // One at a time: other tests run beside this one.
    const checked = await checkModels(1, (each) => process.stdout.write(`${lineOf(each)}\n`));
    expect(checked).toHaveLength(searches.length + mutations.length);
    expect(checked.filter((each) => !isAsPromised(each)).map(lineOf)).toEqual([]);
  });
});

describe("a report of the verifier", () => {
  const counts =
    "State-vector 84 byte, depth reached 9, errors: 0\n 7 states, stored\n 8 transitions\n";

  test("is of a whole search only when nothing cut it short", () => {
    expect(readReport(counts)).toMatchObject({
      broken: undefined,
      incomplete: undefined,
      states: 7,
    });
    for (const cut of [
      "error: max search depth too small",
      "pan: out of memory",
      "Warning: Search not completed",
    ])
      expect(readReport(`${cut}\n${counts}`).incomplete).toBeDefined();
  });

  test("is of no use where a bound of the model itself was met", () => {
    const report = `pan:1: assertion violated 0 (at depth 9)\n${counts.replace("errors: 0", "errors: 1")}`;
    expect(readReport(report)).toMatchObject({ broken: undefined, incomplete: expect.any(String) });
  });

  test("names what was broken", () => {
    const report = `pan:1: assertion violated x (at depth 9)\n${counts.replace("errors: 0", "errors: 1")}`;
    expect(readReport(report).broken).toBe("assertion violated x");
  });
});
