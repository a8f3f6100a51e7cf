import type { StoreCounts } from "../../src/store/meter.ts";

const operations = ["put", "list", "get", "delete"] as const;

/** Requests to the store by kind. */
export type Requests = Readonly<Record<(typeof operations)[number], number>>;

export const requestColumns: readonly string[] = operations.map((name) => name.toUpperCase());

export function requestsOf(counts: StoreCounts): Requests {
  return mapped((name) => counts[name].requests);
}

/** What came after `before`, for each of `runs`. */
export function since(before: Requests, after: Requests, runs = 1): Requests {
  return mapped((name) => (after[name] - before[name]) / runs);
}

export function sum(...parts: readonly Requests[]): Requests {
  return mapped((name) => parts.reduce((all, part) => all + part[name], 0));
}

/** Of one of them, on average. */
export function mean(parts: readonly Requests[]): Requests {
  return since(
    mapped(() => 0),
    sum(...parts),
    parts.length,
  );
}

/** As table cells: whole numbers stay whole. */
export function requestCells(requests: Requests): string[] {
  return operations.map((name) => {
    const value = requests[name];
    return Number.isInteger(value) ? `${value}` : value.toFixed(2);
  });
}

function mapped(count: (name: (typeof operations)[number]) => number): Requests {
  return { put: count("put"), list: count("list"), get: count("get"), delete: count("delete") };
}
