import type { OnCrash } from "../../src/mailbox/take-over.ts";
import type { Checker, EndState } from "./end-state.ts";
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
/** On a busy machine a process may do its work in other pieces than the one before it, and not come to an operation. */
const triesPerCell = 5;
const notMet: Cell = { outcome: "not met", faults: [] };
/** So many cells of a table need not be met: on a busy machine not all frames come in the same pieces. */
const notMetFraction = 0.25;

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
  return notMet;
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
    const { side, command, stopAfter } = scenario;
    const life = await world.live(side, command(world), kill, stopAfter);
    await scenario.afterwards?.(world, life);
    const end = await settled(world, checker);
    const { ending = "answered" } = scenario;
    const kept = end.quarantined.length > 0 ? "quarantined" : "open";
    const status = end.asked?.terminal?.status ?? kept;
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

/** How a world stands once both sides have looked twice, told by a process that has had no part in it. */
export async function settled(world: World, checker: Checker): Promise<EndState> {
  for (const side of ["caller", "callee", "caller", "callee"] as const) await world.pass(side);
  return checker.lookAt(world);
}

/** The rows of one trial as a table for people. */
export function tableOf(title: string, rows: readonly Row[]): string {
  const line = (...[number, name, before, after]: readonly string[]): string =>
    `${number?.padStart(4)}  ${name?.padEnd(42)}${before?.padEnd(22)}${after}`.trimEnd();
  const lines = rows.map(({ number, name, nth, before, after }) =>
    line(`${number}`, nth > 1 ? `${name} (${nth})` : name, shown(before), shown(after)),
  );
  return ["", title, line("", "killed at", "before", "after"), ...lines, ""].join("\n");
}

function shown(cell: Cell | null): string {
  if (cell === null) return "";
  return cell.faults.length === 0 ? cell.outcome : `${cell.outcome} FAULT`;
}

function cellsOf(rows: readonly Row[]): readonly Cell[] {
  return rows.flatMap(({ before, after }) => [before, after]).filter((cell) => cell !== null);
}

/** How many processes were killed where they should be, and how many lived because they did not come there. */
export function killsIn(rows: readonly Row[]): { readonly met: number; readonly missed: number } {
  const cells = cellsOf(rows);
  const missed = cells.filter((cell) => cell === notMet).length;
  return { met: cells.length - missed, missed };
}

/** Each broken promise, with the cell where it broke. */
export function faultsIn(rows: readonly Row[]): readonly string[] {
  const said = (kill: string, cell: Cell | null): readonly string[] =>
    (cell?.faults ?? []).map((fault) => `${kill}: ${fault}`);
  const broken = rows.flatMap(({ number, name, nth, before, after }) => [
    ...said(`${number} before ${name} (${nth})`, before),
    ...said(`${number} after ${name} (${nth})`, after),
  ]);
  const { met, missed } = killsIn(rows);
  const most = (met + missed) * notMetFraction;
  return missed <= most ? broken : [...broken, `${missed} operations were not met, ${met} were`];
}
