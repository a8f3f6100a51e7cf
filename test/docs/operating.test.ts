import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { configJsonSchema } from "../../src/gateway/config.ts";
import { serve } from "../../src/gateway/serve.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { rowsBelow } from "../support/markdown.ts";
import {
  pass,
  readAll,
  routes,
  sayer,
  twoGateways,
  type Side,
  type TwoGateways,
} from "../support/two-gateways.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/operating.md"), "utf8");

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const quarterMs = dayMs / 4;
const monthMs = 30 * dayMs;
/** Dollars for one. */
const prices = { put: 0.005 / 1000, get: 0.0004 / 1000 };
/** A delay is shortened by up to a quarter at random. */
const meanOfDelay = 7 / 8;
const sweepsAMonth = monthMs / minuteMs / limits.passesPerSweep;

const counted = (count: number): string => Math.round(count).toLocaleString("en-US");
const looksWithin = (ms: number, maxDelayMs: number): number => ms / (maxDelayMs * meanOfDelay);

describe("what idling costs", () => {
  const rows = rowsBelow(page, "What it costs", "setting");

  it("follows from the pace", () => {
    expect(rows).toHaveLength(6);
    for (const [setting = "", lists = "", dollars = ""] of rows) {
      const [, maxSeconds] = /`maxSeconds` (\d+)$/.exec(setting) ?? [];
      const looks =
        maxSeconds === undefined
          ? monthMs / minuteMs
          : looksWithin(monthMs, Number(maxSeconds) * 1000);
      const all = looks + sweepsAMonth;
      expect([lists, dollars], setting).toEqual([
        counted(Math.round(all / 100) * 100),
        (all * prices.put).toFixed(2),
      ]);
    }
  });

  it("is what a service really asks for", async () => {
    const two = twoGateways();
    await using _service = serving(two);
    await two.clock.advance(quarterMs);
    const { list = 0, ...others } = requestsOf(two.doer);
    const expected = looksWithin(quarterMs, limits.serveMaxDelayMs) + quarterMs / hourMs;
    expect(list / expected).toBeCloseTo(1, 1);
    expect(others).toEqual({});
  });

  it("begins within about a minute after work", async () => {
    const two = twoGateways();
    await using _service = serving(two);
    await two.clock.advance(1.5 * minuteMs);
    two.doer.calls.splice(0);
    await two.clock.advance(10 * minuteMs);
    const shortestDelayMs = 0.75 * limits.serveMaxDelayMs;
    expect(requestsOf(two.doer)["list"]).toBeLessThanOrEqual((10 * minuteMs) / shortestDelayMs + 2);
  });
});

describe("what is asked for besides", () => {
  const rows = rowsBelow(page, "What it costs", "what happens");
  function expectRow(index: number, { put, get }: { put: number; get: number }): void {
    const [what, ...numbers] = rows[index] ?? [];
    const dollars = (put * prices.put + get * prices.get).toFixed(3);
    expect(numbers, what).toEqual([counted(put), counted(get), dollars]);
  }

  it("for a short run, when some time has passed since the last one", async () => {
    const two = twoGateways();
    const [asker, doer] = [two.asker.process(), two.doer.process()];
    const run = async (idempotencyKey: string): Promise<void> => {
      const record = await two.asks(asker, "hi", { idempotencyKey });
      await pass(two.clock, doer, sayer("a"));
      await readAll(two.clock, asker, record);
    };
    await run("first");
    two.clock.jump(limits.ownerLookMs);
    for (const side of [two.asker, two.doer]) side.calls.splice(0);
    await run("second");
    const [asked, answered] = [requestsOf(two.asker), requestsOf(two.doer)];
    const all = (name: string): number => 1000 * ((asked[name] ?? 0) + (answered[name] ?? 0));
    expectRow(0, { put: all("put") + all("list"), get: all("get") });
  });

  it("while somebody waits for an answer", async () => {
    const { followMaxDelayMs, followLooksPerAttempt, followLooksPerList, resendMs } = limits;
    const looks = looksWithin(hourMs, followMaxDelayMs);
    const lists = looks / followLooksPerList;
    const gets = looks + looks / followLooksPerAttempt - lists;
    expectRow(1, { put: lists + hourMs / resendMs, get: gets });

    const two = twoGateways();
    const asker = two.asker.process();
    const record = await two.asks(asker, "hi", { ttlMs: dayMs });
    const enough = new AbortController();
    const reading = readAll(two.clock, asker, record, { signal: enough.signal });
    await two.clock.advance(hourMs);
    const { put = 0, list = 0, get = 0 } = requestsOf(two.asker);
    expect((put + list) / (lists + hourMs / resendMs)).toBeCloseTo(1, 1);
    expect(get / gets).toBeCloseTo(1, 1);
    enough.abort();
    await reading;
  });

  it("while a service looks for an answer", async () => {
    const { serveMaxDelayMs, followLooksPerList, resendMs } = limits;
    const looks = looksWithin(dayMs, serveMaxDelayMs);
    const lists = looks / followLooksPerList;
    expectRow(2, { put: dayMs / resendMs + lists, get: 2 * looks - lists });

    const two = twoGateways();
    const asker = two.asker.process();
    await two.asks(asker, "hi", { ttlMs: dayMs });
    await using _service = serving(two, asker);
    await two.clock.advance(quarterMs);
    const { put = 0, get = 0 } = requestsOf(two.asker);
    expect(put).toBeLessThanOrEqual(quarterMs / resendMs);
    expect(get / (looks / 2)).toBeCloseTo(1, 1);
  });

  it("by frames that never pause", () => {
    const envelopes = hourMs / limits.frameWindowMs;
    expectRow(3, { put: envelopes, get: envelopes });
  });
});

it("every field of config.json is on the page", () => {
  const fields = [...fieldsOf(configJsonSchema())];
  expect(fields.length).toBeGreaterThan(15);
  for (const field of fields)
    expect(page).toMatch(new RegExp(`[\`.]${field.replace("$", "\\$")}\``));
});

it("the limits are those of the program", () => {
  const rows = rowsBelow(page, "Limits", "what");
  expect(rows.length).toBeGreaterThan(15);
  for (const [what, bound, names = ""] of rows) {
    const found = [...names.matchAll(/`(\w+)`/g)].map(([, name = ""]) => boundOf(name));
    expect(bound, what).toBe(found.join(", "));
  }
});

/** A service, at the pace that it has by default. */
function serving({ clock, doer }: TwoGateways, box: Mailbox = doer.process()): AsyncDisposable {
  const stop = new AbortController();
  const service = serve(box, {
    ...routes(sayer()),
    minDelayMs: limits.serveMinDelayMs,
    maxDelayMs: limits.serveMaxDelayMs,
    graceMs: 0,
    signal: stop.signal,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await clock.until(service);
    },
  };
}

function requestsOf({ calls }: Side): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const call of calls) {
    const [operation = ""] = call.split(" ");
    counts[operation] = (counts[operation] ?? 0) + 1;
  }
  return counts;
}

/** The names of an object's fields, at every depth of its JSON Schema. */
function* fieldsOf(schema: unknown): Generator<string> {
  for (const [name, value] of entriesOf(schema)) {
    if (name === "properties") for (const [field] of entriesOf(value)) yield field;
    yield* fieldsOf(value);
  }
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

/** As people read it. */
function boundOf(name: string): string {
  const bound = new Map<string, number>(Object.entries(limits)).get(name);
  if (bound === undefined) return `there is no limit ${name}`;
  const units = name.endsWith("Ms") ? timeUnits : name.includes("Bytes") ? byteUnits : [];
  const [unit, size] = units.find(([, , least]) => bound >= least) ?? ["", 1];
  return `${counted(bound / size)} ${unit}`.trim();
}

/** Each with its size, and from where on it is used. */
const timeUnits = [
  ["days", dayMs, 2 * dayMs],
  ["h", hourMs, hourMs],
  ["min", minuteMs, minuteMs],
  ["s", 1000, 1000],
  ["ms", 1, 1],
] as const;
const byteUnits = [
  ["MiB", 2 ** 20, 2 ** 20],
  ["KiB", 2 ** 10, 2 ** 10],
] as const;
