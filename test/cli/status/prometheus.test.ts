import { describe, expect, it } from "vitest";
import { prometheusText } from "../../../src/cli/status/prometheus.ts";
import { attentionCodes, type StatusView } from "../../../src/cli/status/view.ts";
import { parseExposition } from "../support/prometheus.ts";
import { ageOf, healthy } from "./samples.ts";

const text = (change: Partial<StatusView> = {}): string =>
  `${prometheusText({ ...healthy, attention: [], ...change }, "1.2.3")}\n`;

function valueOf(of: string, name: string, labels: object = {}): number | undefined {
  const wanted = JSON.stringify(labels);
  return parseExposition(of).find(
    (sample) => sample.name === name && JSON.stringify(sample.labels) === wanted,
  )?.value;
}

describe("the Prometheus format", () => {
  it("says everything as gauges in base units", () => {
    const now = Date.parse(healthy.at) / 1000;
    const all = text();
    expect(valueOf(all, "postern_info", { gateway: "hq", realm: "prod", version: "1.2.3" })).toBe(
      1,
    );
    expect(valueOf(all, "postern_store_up")).toBe(1);
    expect(valueOf(all, "postern_inbox_requests", { sender: "lab" })).toBe(2);
    expect(valueOf(all, "postern_inbox_oldest_timestamp_seconds", { sender: "lab" })).toBe(now - 5);
    expect(valueOf(all, "postern_pass_timestamp_seconds")).toBe(now - 30);
    expect(valueOf(all, "postern_pass_success")).toBe(1);
    expect(valueOf(all, "postern_received_runs", { state: "unpublished" })).toBe(3);
    expect(valueOf(all, "postern_asked_runs", { state: "open" })).toBe(4);
    expect(valueOf(all, "postern_owner_generation")).toBe(7);
    expect(valueOf(all, "postern_clock_behind_seconds")).toBe(0);
    expect(valueOf(all, "postern_trust_expires_timestamp_seconds")).toBe(now + 365 * 86_400);
  });

  it("has every reason for attention at all times, 1 where it holds", () => {
    const attention = [{ code: "RUNS_UNKNOWN", what: "x" }] as const;
    const samples = parseExposition(text({ attention })).filter(
      ({ name }) => name === "postern_attention",
    );
    expect(samples.map(({ labels }) => labels["reason"])).toEqual(attentionCodes);
    expect(samples.filter(({ value }) => value === 1)).toHaveLength(1);
    expect(valueOf(text({ attention }), "postern_attention", { reason: "RUNS_UNKNOWN" })).toBe(1);
  });

  it("leaves out what is not known", () => {
    const store = { ...healthy.store, reached: null };
    const offline = text({ store, inbox: null, passes: { last: null, lastGood: null } });
    const names = new Set(parseExposition(offline).map(({ name }) => name));
    for (const name of ["store_up", "inbox_requests", "inbox_complete", "pass_success"])
      expect(names).not.toContain(`postern_${name}`);
    expect(valueOf(text({ store: { ...store, reached: false } }), "postern_store_up")).toBe(0);
  });

  it("escapes what somebody else chose", () => {
    const code = 'A"B\\C\nD\u001b[2J\u2028';
    const troubles = [
      { peer: 'x"} 1\npostern_store_up 7 #', code, message: "m", ...ageOf(0) },
      { peer: null, code: "STORE_FULL", message: "m", ...ageOf(0) },
    ];
    const latest = { ...ageOf(0), code };
    const quarantine = [{ sender: "(strangers)", entries: 1, bytes: 2, released: 0, latest }];
    const all = text({ troubles, quarantine });
    // oxlint-disable-next-line no-control-regex
    expect(all).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u2028]/);
    const found = parseExposition(all).filter(
      ({ name }) => name === "postern_trouble_timestamp_seconds",
    );
    expect(found.map(({ labels }) => labels)).toEqual([
      {
        peer: 'x"} 1\\u{a}postern_store_up 7 #',
        code: 'A"B\\C\\u{a}D\\u{1b}[2J\\u{2028}',
      },
      { peer: "", code: "STORE_FULL" },
    ]);
    expect(valueOf(all, "postern_store_up")).toBe(1);
  });
});

describe("the reader that these tests use", () => {
  it.each([
    ["no end", "# HELP a b\n# TYPE a gauge\na 1"],
    ["no HELP", "# TYPE a gauge\na 1\n"],
    ["no TYPE", "# HELP a b\na 1\n"],
    ["another type", "# HELP a b\n# TYPE a counter\na 1\n"],
    [
      "a metric in two places",
      "# HELP a b\n# TYPE a gauge\na 1\n# HELP a b\n# TYPE a gauge\na 2\n",
    ],
    ["a sample twice", "# HELP a b\n# TYPE a gauge\na 1\na 2\n"],
    ["a name that is none", "# HELP a-b c\n# TYPE a-b gauge\na-b 1\n"],
    ["a raw quote", '# HELP a b\n# TYPE a gauge\na{l="x"y"} 1\n'],
    ["an unknown escape", '# HELP a b\n# TYPE a gauge\na{l="\\u1"} 1\n'],
    ["a label twice", '# HELP a b\n# TYPE a gauge\na{l="1",l="2"} 1\n'],
    ["no value", "# HELP a b\n# TYPE a gauge\na null\n"],
    ["an empty line", "# HELP a b\n# TYPE a gauge\n\na 1\n"],
  ])("refuses %s", (_, wrong) => {
    expect(() => parseExposition(wrong)).toThrow();
  });

  it("takes what is right", () => {
    const right = '# HELP a b\n# TYPE a gauge\na{l="\\\\\\"\\n",m="}"} 1.5e3\na 2\n';
    expect(parseExposition(right)).toEqual([
      { name: "a", labels: { l: '\\"\n', m: "}" }, value: 1500 },
      { name: "a", labels: {}, value: 2 },
    ]);
  });
});
