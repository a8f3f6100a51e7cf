import { tableText } from "../bench/page.ts";
import type { Window } from "./soak.ts";

const columns = [
  "after s",
  "calls",
  "median ms",
  "p90 ms",
  "held MiB",
  "RSS MiB",
  "descriptors",
  "requests a call",
  "retained",
];

export function rowOf(window: Window): string[] {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  return [
    (window.endMs / 1000).toFixed(0),
    `${window.calls}`,
    window.medianMs.toFixed(0),
    window.p90Ms.toFixed(0),
    mebibytes(window.heldBytes),
    mebibytes(window.rssBytes),
    `${window.descriptors}`,
    window.requestsPerCall.toFixed(2),
    `${window.retained}`,
  ];
}

/** Memory, descriptors and latencies are those of the gateway that has most; the rest is of all together. */
export function soakTable(windows: readonly Window[]): string {
  return tableText({ columns, rows: windows.map(rowOf) });
}
