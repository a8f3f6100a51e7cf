import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hasConditionalWrites, makeBucket, s3 } from "../support/s3.ts";
import { soak, type Window } from "./soak.ts";
import { soakTable } from "./table.ts";

const mebibyte = 2 ** 20;

test.skipIf(!hasConditionalWrites)(
  "three gateways that ask each other over a bad line run each call once, and grow by nothing of what they retain",
  { timeout: 300_000 },
  async () => {
    await using opened = new AsyncDisposableStack();
    const bucket = opened.adopt(await makeBucket(), ({ remove }) => remove());
    const folder = opened.adopt(await mkdtemp(join(tmpdir(), "postern-soak-")), (path) =>
      rm(path, { recursive: true, force: true }),
    );
    const { windows, last, faults, ranAgain, left } = await soak({
      s3,
      bucket,
      folder,
      maxMs: 45_000,
      maxCalls: 2000,
      windows: 9,
      faultRate: 0.02,
      seed: 1,
    });
    process.stdout.write(`${soakTable(windows)}${faults} faults\n`);

    const sum = (of: (report: (typeof last)[number]) => number): number =>
      last.reduce((all, report) => all + of(report), 0);
    expect(faults).toBeGreaterThan(0);
    expect(sum(({ wrong, unanswered, open }) => wrong + unanswered + open)).toBe(0);
    expect(sum(({ starts }) => starts)).toBe(sum(({ received }) => received));
    expect(sum(({ asked }) => asked)).toBe(sum(({ calls }) => calls));
    expect(ranAgain).toBe(0);
    expect(left).toEqual([]);

    // The first window warms up. What is retained grows all the time: nothing else may grow with it.
    const [, early, ...rest] = windows;
    const late = rest.at(-1);
    if (early === undefined || late === undefined) throw new Error("there are too few windows");
    expect(late.retained).toBeGreaterThan(early.retained);
    expect(late.heldBytes).toBeLessThan(early.heldBytes + 16 * mebibyte);
    expect(late.descriptors).toBeLessThan(early.descriptors + 32);
    expect(requestsPerCall(rest)).toBeLessThan(2 * requestsPerCall([early, ...rest.slice(0, 2)]));
  },
);

function requestsPerCall(windows: readonly Window[]): number {
  const calls = windows.reduce((all, window) => all + window.calls, 0);
  return windows.reduce((all, window) => all + window.requestsPerCall * window.calls, 0) / calls;
}
