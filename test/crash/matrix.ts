import type { OnCrash } from "../../src/mailbox/take-over.ts";
import type { Checker } from "./end-state.ts";
import type { Kill, Operation } from "./plan.ts";
import { brokenPromises } from "./promises.ts";
import type { Scenario } from "./scenarios.ts";
import { World, type Meeting } from "./world.ts";

/** What came of a process that was killed at one operation. */
interface Cell {
  /** How the run ended and how often it was started, in short. */
  readonly outcome: string;
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[];
}

/** An operation, with its number in its process, and what came of dying there; null where that was not tried. */
export interface Row extends Operation {
  readonly number: number;
  readonly before: Cell | null;
  readonly after: Cell | null;
}

export interface Trial {
  readonly scenario: Scenario;
  readonly meeting: Meeting;
  readonly onCrash: OnCrash;
  readonly checker: Checker;
  readonly wants: Wants;
}

/** Whether a kill is to be tried, at the operation with this number in its process, from 1. */
export type Wants = (kill: Kill, number: number, operations: readonly Operation[]) => boolean;

const worldsAtOnce = 2;
/** Now and then a process does its work in other pieces than the one before it, and does not come to the operation. */
const triesPerCell = 3;

/** Lets a process live once to learn its operations, and kills another one at each of them, before and after. */
export async function matrixOf(trial: Trial): Promise<readonly Row[]> {
  const { operations, cell } = await tryOnce(trial, null);
  if (cell.faults.length > 0) throw new Error(`without any kill: ${cell.faults.join("; ")}`);
  const left = operations.map((operation, index) => ({ operation, number: index + 1 }));
  const rows: Row[] = [];
  const workOn = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { operation, number } = next;
      const killed = async (when: Kill["when"]): Promise<Cell | null> => {
        const kill = { ...operation, when };
        return trial.wants(kill, number, operations) ? cellOf(trial, kill) : null;
      };
      const [before, after] = [await killed("before"), await killed("after")];
      if (before !== null || after !== null) rows.push({ ...operation, number, before, after });
    }
  };
  await Promise.all(Array.from({ length: worldsAtOnce }, workOn));
  return rows.toSorted((one, other) => one.number - other.number);
}

async function cellOf(trial: Trial, kill: Kill): Promise<Cell> {
  for (let tries = 1; tries <= triesPerCell; tries += 1) {
    const { cell, killed } = await tryOnce(trial, kill);
    if (killed) return cell;
  }
  return { outcome: "not met", faults: ["no process came to this operation"] };
}

interface Tried {
  readonly cell: Cell;
  readonly killed: boolean;
  readonly operations: readonly Operation[];
}

async function tryOnce(
  { scenario, meeting, onCrash, checker }: Trial,
  kill: Kill | null,
): Promise<Tried> {
  const world = await World.make(meeting, onCrash);
  try {
    await scenario.prepare?.(world);
    const life = await world.live(scenario.side, scenario.command(world), kill);
    await scenario.afterwards?.(world, life);
    for (const side of ["caller", "callee", "caller", "callee"] as const) await world.pass(side);
    const end = await checker.lookAt(world);
    const kept = end.quarantined.length > 0 ? "quarantined" : "open";
    const status = end.asked?.terminal?.status ?? kept;
    const { ending = "answered" } = scenario;
    return {
      cell: {
        outcome: `${status} ${world.started.length}x`,
        faults: brokenPromises(world, end, { ending, onCrash }),
      },
      killed: life.killed,
      operations: life.notes
        .filter(({ what }) => what === "begins")
        .map(({ name, nth }) => ({ name, nth })),
    };
  } finally {
    world.remove();
  }
}

/** The rows of one trial as a table for people. */
export function tableOf(title: string, rows: readonly Row[]): string {
  const line = (...[number, name, before, after]: readonly string[]): string =>
    `${number?.padStart(4)}  ${name?.padEnd(42)}${before?.padEnd(20)}${after}`.trimEnd();
  const lines = rows.map(({ number, name, nth, before, after }) =>
    line(`${number}`, nth > 1 ? `${name} (${nth})` : name, shown(before), shown(after)),
  );
  return ["", title, line("", "killed at", "before", "after"), ...lines, ""].join("\n");
}

function shown(cell: Cell | null): string {
  if (cell === null) return "";
  return cell.faults.length === 0 ? cell.outcome : `${cell.outcome} FAULT`;
}

export function killsIn(rows: readonly Row[]): number {
  return rows.flatMap(({ before, after }) => [before, after]).filter((cell) => cell !== null)
    .length;
}

/** Each broken promise, with the cell where it broke. */
export function faultsIn(rows: readonly Row[]): readonly string[] {
  const said = (kill: string, cell: Cell | null): readonly string[] =>
    (cell?.faults ?? []).map((fault) => `${kill}: ${fault}`);
  return rows.flatMap(({ number, name, nth, before, after }) => [
    ...said(`${number} before ${name} (${nth})`, before),
    ...said(`${number} after ${name} (${nth})`, after),
  ]);
}
