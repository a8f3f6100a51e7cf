import { printable } from "../../base/printable.ts";
import { attentionCodes, type Moment, type StatusView } from "./view.ts";

type Labels = Readonly<Record<string, string>>;

/** A gauge with its values, one for each set of labels; one without values is left out. */
interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly (readonly [Labels, number])[];
}

/**
 * The same in the text exposition format of Prometheus, version 0.0.4: gauges in base units, times as seconds
 * since 1970. Lines without the last line end.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function prometheusText(view: StatusView, version: string): string {
  return gaugesOf(view, version)
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ name, help, samples }) => [
      `# HELP ${name} ${escapedHelp(help)}`,
      `# TYPE ${name} gauge`,
      ...samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}`),
    ])
    .join("\n");
}

function gaugesOf(view: StatusView, version: string): readonly Gauge[] {
  const { gateway, realm } = view;
  return [
    gauge("info", "Which gateway this is.", [[{ gateway, realm, version }, 1]]),
    gauge("attention", "Whether somebody should look, by reason.", attentionSamples(view)),
    ...storeGauges(view),
    ...passGauges(view),
    ...runGauges(view),
    ...quarantineGauges(view),
    ...ownGauges(view),
    gauge(
      "trouble_timestamp_seconds",
      "When a trouble that stands was last met, by peer; the gateway's own has none.",
      view.troubles.map((trouble) => [
        { peer: trouble.peer ?? "", code: trouble.code },
        timeOf(trouble),
      ]),
    ),
  ];
}

function attentionSamples({ attention }: StatusView): Gauge["samples"] {
  const codes = new Set(attention.map(({ code }) => code));
  return attentionCodes.map((reason) => [{ reason }, codes.has(reason) ? 1 : 0]);
}

function storeGauges({ store, inbox }: StatusView): readonly Gauge[] {
  const senders = inbox?.senders ?? [];
  return [
    gauge("store_up", "Whether the store could be looked at.", optional(store.reached, Number)),
    gauge(
      "inbox_complete",
      "Whether one listing held all of the inbox.",
      optional(inbox && inbox.complete, Number),
    ),
    gauge(
      "inbox_requests",
      "Requests that wait in the inbox, as far as one listing tells.",
      senders.map(({ sender, waiting }) => [{ sender }, waiting]),
    ),
    gauge(
      "inbox_oldest_timestamp_seconds",
      "When the request that waits longest was written.",
      senders.map(({ sender, oldest }) => [{ sender }, timeOf(oldest)]),
    ),
  ];
}

function passGauges({ passes: { last, lastGood } }: StatusView): readonly Gauge[] {
  return [
    gauge("pass_timestamp_seconds", "When the last pass ended.", optional(last, timeOf)),
    gauge(
      "pass_success",
      "Whether the last pass went well.",
      optional(last, ({ code }) => Number(code === null)),
    ),
    gauge(
      "pass_success_timestamp_seconds",
      "When the last pass that went well ended.",
      optional(lastGood, timeOf),
    ),
  ];
}

function runGauges({ received, asked }: StatusView): readonly Gauge[] {
  return [
    gauge("received_runs", "Runs asked of this gateway, by state.", [
      [{ state: "admitted" }, received.admitted],
      [{ state: "running" }, received.running],
      [{ state: "unpublished" }, received.unpublished],
    ]),
    gauge(
      "received_oldest_timestamp_seconds",
      "When the first received of the admitted and running ones came.",
      optional(received.oldest, timeOf),
    ),
    gauge("asked_runs", "Runs asked from here, by state.", [
      [{ state: "open" }, asked.open],
      [{ state: "unknown" }, asked.unknown],
    ]),
    gauge(
      "asked_oldest_timestamp_seconds",
      "When the first of the open ones was asked.",
      optional(asked.oldest, timeOf),
    ),
  ];
}

function quarantineGauges({ quarantine }: StatusView): readonly Gauge[] {
  return [
    gauge(
      "quarantine_entries",
      "What was refused, by sender.",
      quarantine.map(({ sender, entries }) => [{ sender }, entries]),
    ),
    gauge(
      "quarantine_bytes",
      "What is kept of it.",
      quarantine.map(({ sender, bytes }) => [{ sender }, bytes]),
    ),
    gauge(
      "quarantine_latest_timestamp_seconds",
      "When the latest of it was refused.",
      quarantine.map(({ sender, latest }) => [{ sender, code: latest.code }, timeOf(latest)]),
    ),
  ];
}

function ownGauges({ owner, clock, trust }: StatusView): readonly Gauge[] {
  return [
    gauge("owner_generation", "The generation of the owner claim.", [[{}, owner.generation]]),
    gauge(
      "owner_claim_timestamp_seconds",
      "When this state claimed it.",
      optional(owner.claimed, timeOf),
    ),
    gauge("owner_elsewhere", "Whether another state serves this gateway.", [
      [{}, Number(owner.elsewhere)],
    ]),
    gauge("clock_behind_seconds", "How far the clock is behind what the state has seen.", [
      [{}, clock.behindSeconds],
    ]),
    gauge("trust_version", "The version of trust.json.", optional(trust.version, Number)),
    gauge(
      "trust_expires_timestamp_seconds",
      "When trust.json expires.",
      optional(trust.expiresAt, (at) => Date.parse(at) / 1000),
    ),
  ];
}

function gauge(name: string, help: string, samples: Gauge["samples"]): Gauge {
  return { name: `postern_${name}`, help, samples };
}

/** One value, or none where there is nothing to tell. */
function optional<T>(what: T | null, valueOf: (what: T) => number): Gauge["samples"] {
  return what === null ? [] : [[{}, valueOf(what)]];
}

function timeOf({ at }: Moment): number {
  return Date.parse(at) / 1000;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapedLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** What could move a cursor is spelled out before: a backslash of that is one of the value. */
function escapedLabel(value: string): string {
  return printable(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}

function escapedHelp(text: string): string {
  return printable(text).replaceAll("\\", "\\\\");
}
