import { limits } from "../../base/limits.ts";
import { roughDuration } from "../duration.ts";
import { safeText } from "../output.ts";
import type { Moment, StatusView } from "./view.ts";

/** One screen for people: a line for each thing, and one for each sender, peer and reason under it. */
export function screenText(view: StatusView): string {
  // Nothing that others chose makes a line of its own.
  const lines = linesOf(view).map(([name, what]) => [safeText(name), safeText(what)] as const);
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, what]) => `${name.padEnd(width)}  ${what}`.trimEnd()).join("\n");
}

type Line = readonly [name: string, what: string];

function linesOf(view: StatusView): readonly Line[] {
  const { gateway, realm, quarantine, troubles, attention } = view;
  return [
    ["gateway", `${gateway} in realm ${realm}`],
    ["store", storeText(view)],
    ["pass", passText(view)],
    ...inboxLines(view),
    ["received", receivedText(view)],
    ["asked", askedText(view)],
    ["quarantine", quarantine.length === 0 ? "empty" : ""],
    ...some(quarantine, ({ sender, entries, bytes, latest }) => [
      sender,
      `${entries} entries, ${bytes} bytes; the latest ${latest.code}, ${ago(latest)}`,
    ]),
    ["owner", ownerText(view)],
    ["clock", clockText(view)],
    ["trust", trustText(view)],
    ["troubles", troubles.length === 0 ? "none" : ""],
    ...some(troubles, ({ peer, code, message, ...moment }) => [
      peer ?? "(this gateway)",
      `${code}, ${ago(moment)}: ${message}`,
    ]),
    ["attention", attention.length === 0 ? "nothing needs any" : ""],
    ...some(attention, ({ code, what }) => [code, what]),
  ];
}

/** The first of them, indented, and how many more there are. */
function some<T>(items: readonly T[], lineOf: (item: T) => Line): readonly Line[] {
  const shown = items.slice(0, limits.statusScreenRows).map(lineOf);
  const more = items.length - shown.length;
  const rest: readonly Line[] = more > 0 ? [["...", `and ${more} more`]] : [];
  return [...shown, ...rest].map(([name, what]) => [`  ${name}`, what]);
}

function storeText({ store: { location, reached, code } }: StatusView): string {
  if (reached === null) return `${location}, not looked at`;
  return reached ? location : `${location}, ${code}`;
}

function passText({ passes: { last, lastGood } }: StatusView): string {
  if (last === null) return "none yet";
  if (last.code === null) return `went well ${ago(last)}`;
  const before = lastGood === null ? "none went well yet" : `the last good one ${ago(lastGood)}`;
  return `failed ${ago(last)} (${last.code}); ${before}`;
}

function inboxLines({ inbox }: StatusView): readonly Line[] {
  if (inbox === null) return [["inbox", "not looked at"]];
  const { waiting, complete, oldest, senders } = inbox;
  const count = complete ? `${waiting}` : `${waiting} or more`;
  return [
    ["inbox", `${count} waiting${sinceText(oldest)}`],
    ...some(senders, (of): Line => [of.sender, `${of.waiting} waiting${sinceText(of.oldest)}`]),
  ];
}

function receivedText({ received }: StatusView): string {
  const { admitted, running, unpublished, oldest } = received;
  const counts = `${admitted} admitted, ${running} running, ${unpublished} to be published`;
  return counts + sinceText(oldest);
}

function askedText({ asked: { open, unknown, oldest } }: StatusView): string {
  return `${open} open, ${unknown} unknown${sinceText(oldest)}`;
}

function ownerText({ owner: { generation, claimed, elsewhere } }: StatusView): string {
  if (elsewhere) return "another state serves this gateway";
  return claimed === null
    ? "nothing claimed yet"
    : `this state, generation ${generation}, claimed ${ago(claimed)}`;
}

function clockText({ clock: { behindSeconds, behindStoreSeconds } }: StatusView): string {
  const behind = [
    ...(behindSeconds > 0 ? [`${behindSeconds}s behind what the state has seen`] : []),
    ...((behindStoreSeconds ?? 0) > 0 ? [`${behindStoreSeconds}s behind the store`] : []),
  ];
  return behind.length === 0 ? "not seen to be behind" : behind.join(", ");
}

function trustText({ trust: { version, expiresInSeconds, code } }: StatusView): string {
  const which = version === null ? "" : `version ${version}, `;
  if (code !== null || expiresInSeconds === null) return `${which}cannot be used: ${code}`;
  return `${which}expires in ${roughDuration(expiresInSeconds * 1000)}`;
}

function sinceText(oldest: Moment | null): string {
  return oldest === null ? "" : `, the oldest for ${roughDuration(oldest.ageSeconds * 1000)}`;
}

function ago({ ageSeconds }: Moment): string {
  return `${roughDuration(ageSeconds * 1000)} ago`;
}
