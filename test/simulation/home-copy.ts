import { limits } from "../../src/base/limits.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import { SimClock } from "./sim-clock.ts";
import { minute, troubledMs, type Stage } from "./stage.ts";
import { pollUntil, workUntil } from "./working.ts";

/** A machine, and another one with a copy of its home. */
interface Twins {
  readonly original: Machine;
  readonly copy: Machine;
  readonly copyMs: number;
}

/**
 * A whole machine is copied, and both run on. A copy from before the first claim may do so from any moment on; a
 * later one has to find a claim that is younger than itself, as SPEC.md says, or is recovered by its operator.
 */
export function copyLater(stage: Stage, original: Machine): void {
  const { world, weather, checker } = stage;
  const random = world.randomOf(`${original.label} copy`);
  const how = random.pick(["unused", "later", "recovered", "at worst", "away"] as const);
  const copyMs = how === "unused" ? 0 : random.integer(0, troubledMs / 2);
  const startMs = random.integer(copyMs + minute, troubledMs - minute);
  const withLocks = random.chance(0.5);
  world.schedule(copyMs, () => {
    const label = `${original.name}-copy`;
    const clock = new SimClock(world, label, weather.clocks);
    const copy = original.copy(label, clock, { withLocks });
    const twins = { original, copy, copyMs };
    if (how === "at worst") return takeNameAtWorst(stage, twins);
    if (how === "away") return takeNameLate(stage, twins);
    world.plan(startMs - copyMs, `${original.label} copy`, () => {
      if (how === "later" && !checker.findsOut(original, copy.disk.content)) return;
      begin(stage, twins);
      if (how === "recovered") takeName(stage, twins);
      workOn(stage, copy);
    });
  });
}

function begin({ world, checker, machines }: Stage, { original, copy, copyMs }: Twins): void {
  const minutes = Math.round((world.elapsedMs - copyMs) / minute);
  world.tell(copy.label, `begins to run, a copy of ${original.label} from ${minutes} minutes ago`);
  copy.trust = original.trust;
  checker.watch(copy);
  machines.push(copy);
}

/** The name is the copy's from here on: what becomes of the original's runs is for people to find out. */
function takeName(stage: Stage, twins: Twins, how: { readonly claims?: boolean } = {}): void {
  const { original, copy } = twins;
  for (const machine of [original, copy]) machine.stateWasLost = true;
  stage.recover(copy, how);
  goBackLater(stage, twins);
}

/** The operator goes back to the original, beside whatever still works there, and perhaps to the copy once more. */
function goBackLater(stage: Stage, { original, copy }: Twins): void {
  const { world } = stage;
  const random = world.randomOf(`${original.label} goes back`);
  let leftMs = troubledMs - world.elapsedMs;
  for (const machine of [original, copy, original]) {
    if (!random.chance(0.4)) return;
    leftMs = random.integer(0, leftMs);
    world.plan(troubledMs - world.elapsedMs - leftMs, `${machine.label} returns`, () => {
      stage.recover(machine);
    });
  }
}

function workOn(stage: Stage, copy: Machine): void {
  const durationMs = troubledMs - stage.world.elapsedMs;
  workUntil(stage, copy, { name: "copy", durationMs, everyMs: minute });
}

/**
 * The copy takes the name while a process stands still that has admitted a run, or that has looked at who owns the
 * name and is about to decide by that; a young copy is one of that very moment.
 */
function takeNameAtWorst(stage: Stage, { original, copy, copyMs }: Twins): void {
  const { world, worst } = stage;
  const random = world.randomOf(`${copy.label} at worst`);
  const isYoung = random.chance(0.5);
  const happens = (life: Life): void => {
    worst.delete(original.label);
    if (!world.may(`${original.label} copy`)) return;
    life.pauseFor(10 * minute, "right after that");
    if (isYoung) copy.disk.restore(original.disk.snapshot());
    const twins = { original, copy, copyMs: isYoung ? world.elapsedMs : copyMs };
    begin(stage, twins);
    takeName(stage, twins);
    workOn(stage, copy);
  };
  worst.set(original.label, { reached: random.pick(["admitted", "a look"] as const), happens });
}

/** Recovered where there is no way to the store, the copy takes the name while the original is at work on a run. */
function takeNameLate(stage: Stage, twins: Twins): void {
  const { world, worst } = stage;
  const { original, copy } = twins;
  if (!world.may(`${original.label} copy`)) return;
  begin(stage, twins);
  takeName(stage, twins, { claims: false });
  world.tell(copy.label, "has no way to the store for now");
  let isAway = true;
  const comeBack = (): void => {
    if (!isAway) return;
    isAway = false;
    worst.delete(original.label);
    world.tell(copy.label, "has a way to the store again");
    pollUntil(stage, copy, { name: "at-once", durationMs: 1, everyMs: 1 });
    workOn(stage, copy);
  };
  world.schedule(limits.recoveryMs + minute, () => {
    if (isAway) worst.set(original.label, { reached: "running", happens: comeBack });
  });
  world.schedule(troubledMs - minute - world.elapsedMs, comeBack);
}
