/** One sample, as a scraper reads it. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sampleLine = /^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)$/;
/** A label and what follows it; a value has no raw quote, line end or lone backslash. */
const nextLabel =
  /^(?<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?<value>(?:[^"\\\n]|\\[\\"n])*)"(?<rest>,.+)?$/;

/**
 * Reads the text exposition format 0.0.4 and throws at whatever it does not allow, or a scraper only puts up
 * with: each metric once, under its HELP and TYPE, no sample twice, every escape one of the three.
 */
export function parseExposition(text: string): readonly Sample[] {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const samples: Sample[] = [];
  const seen = new Set<string>();
  let current = "";
  let typed = false;
  for (const line of text.slice(0, -1).split("\n")) {
    const [, comment, name = "", rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (comment === "HELP") {
      if (!metricName.test(name) || seen.has(name)) throw new Error(`HELP of ${name}: ${line}`);
      seen.add(name);
      [current, typed] = [name, false];
    } else if (comment === "TYPE") {
      if (name !== current || typed || rest !== "gauge") throw new Error(`TYPE: ${line}`);
      typed = true;
    } else {
      const sample = sampleOf(line);
      const labels = Object.entries(sample.labels).map((label) => JSON.stringify(label));
      const id = `${sample.name} ${labels.toSorted().join()}`;
      if (sample.name !== current || !typed || seen.has(id)) throw new Error(`sample: ${line}`);
      seen.add(id);
      samples.push(sample);
    }
  }
  return samples;
}

function sampleOf(line: string): Sample {
  const { name, labels, value } = sampleLine.exec(line)?.groups ?? {};
  if (name === undefined || value === undefined) throw new Error(`no sample: ${line}`);
  if (!/^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/.test(value)) throw new Error(`no value: ${line}`);
  return { name, labels: labels === undefined ? {} : labelsOf(labels), value: Number(value) };
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let left = text; left !== "";) {
    const { name = "", value, rest = "" } = nextLabel.exec(left)?.groups ?? {};
    if (value === undefined || name in labels) throw new Error(`labels: ${text}`);
    labels[name] = value.replaceAll(/\\([\\"n])/g, (_, of: string) => (of === "n" ? "\n" : of));
    left = rest.slice(1);
  }
  return labels;
}
