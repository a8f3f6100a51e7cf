import { newContent } from "../../src/state/memory/content.ts";
import { copyLater } from "./home-copy.ts";
import type { Machine } from "./machine.ts";
import { minute, troubledMs, type Stage } from "./stage.ts";

/** What happens to the homes of this seed. */
export function troubleHomes(stage: Stage): void {
  for (const machine of stage.machines) losePowerLater(stage, machine);
  const { random } = stage.world;
  // Where both sides lose what they remember, nobody knows a key any more: SPEC.md says so.
  const victim = random.pick(stage.machines);
  if (victim === undefined) return;
  switch (stage.weather.home) {
    case "kept":
      return recoverBesideLater(stage, victim);
    case "put back":
    case "lost":
      return loseHomeLater(stage, victim);
    case "damaged":
      return damageLater(stage, victim);
    case "copied":
      return copyLater(stage, victim);
  }
}

/** An operator recovers a state that has lost nothing, beside the processes that work with it. */
function recoverBesideLater(stage: Stage, machine: Machine): void {
  const { world, worst } = stage;
  const random = world.randomOf(`${machine.label} recovery`);
  if (!random.chance(0.2)) return;
  const [isAtWorst, claims] = [random.chance(0.5), random.chance(0.8)];
  const recover = (): void => {
    machine.stateWasLost = true;
    stage.recover(machine, { claims });
  };
  world.plan(random.integer(0, troubledMs - 5 * minute), `${machine.label} recovery`, () => {
    if (!isAtWorst) return recover();
    const happens = (): void => {
      worst.delete(machine.label);
      world.schedule(0, recover);
    };
    worst.set(machine.label, { reached: random.pick(["admitted", "a look"] as const), happens });
  });
}

function losePowerLater({ world }: Stage, machine: Machine): void {
  const random = world.randomOf(`${machine.label} power`);
  for (let count = random.pick([0, 0, 1, 3] as const); count > 0; count -= 1) {
    const losesUnsynced = random.chance(0.5);
    world.plan(random.integer(0, troubledMs), `${machine.label} power ${count}`, () => {
      world.tell(machine.label, `loses power${losesUnsynced ? ", and what was not synced" : ""}`);
      machine.powerOff(losesUnsynced);
    });
  }
}

/**
 * The home is lost: an older copy is put back, or an empty state is made; the operator says `state recover`, at once
 * or after the gateway has found out. It can find out only if it claimed its name since the copy: SPEC.md says so.
 */
function loseHomeLater(stage: Stage, machine: Machine): void {
  const { world, weather, checker } = stage;
  const random = world.randomOf(`${machine.label} home`);
  const lossMs = random.integer(5 * minute, troubledMs - 5 * minute);
  const noticeMs = random.chance(0.5) ? 0 : random.integer(1, 5) * minute;
  let copy = machine.disk.snapshot();
  let copiedMs = 0;
  const makeCopy = (): void => {
    copy = machine.disk.snapshot();
    copiedMs = world.elapsedMs;
  };
  // Often a copy of the last moments, or of a bad one: then some of its runs are open.
  if (random.chance(0.4))
    stage.worst.set(machine.label, { reached: "admitted", happens: makeCopy });
  else
    world.schedule(
      random.chance(0.5) ? lossMs - random.integer(0, 3000) : random.integer(0, lossMs),
      makeCopy,
    );
  world.plan(lossMs, `${machine.label} home`, () => {
    stage.worst.delete(machine.label);
    const isLost = weather.home === "lost";
    const ago = Math.round((world.elapsedMs - copiedMs) / 1000);
    const what = isLost ? "loses its home" : `gets a copy of its home from ${ago} s ago put back`;
    world.tell(machine.label, what);
    const content = isLost ? newContent(world.nowMs + machine.clock.offsetMs()) : copy;
    machine.putBack(content);
    const findsOut = checker.findsOut(machine, content);
    world.schedule(findsOut ? noticeMs : 0, () => {
      machine.powerOff(false);
      stage.recover(machine);
    });
  });
}

/** The disk takes nothing more, until it is mended: what was not durable by then is gone, and nobody knows what. */
function damageLater(stage: Stage, machine: Machine): void {
  const { world } = stage;
  const random = world.randomOf(`${machine.label} disk`);
  const mendedMs = random.integer(1, 5) * minute;
  world.plan(random.integer(0, troubledMs - 6 * minute), `${machine.label} disk`, () => {
    world.tell(machine.label, "has a disk that fails at every sync from now on");
    machine.disk.broken = true;
    world.schedule(mendedMs, () => {
      world.tell(machine.label, "has its disk mended, with what was durable on it");
      machine.putBack(machine.disk.durable);
      stage.recover(machine);
    });
  });
}
