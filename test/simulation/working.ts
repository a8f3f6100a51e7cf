import { gc } from "../../src/gateway/gc.ts";
import { poll } from "../../src/gateway/poll.ts";
import { serve } from "../../src/gateway/serve.ts";
import { agentsOf } from "./agents.ts";
import { relayOf } from "./asking.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import { minute, type Stage } from "./stage.ts";

/** A stretch of time in which a machine is at work, from now on. */
export interface Shift {
  /** Tells one stretch from another in the names of what happens. */
  readonly name: string;
  readonly durationMs: number;
  readonly everyMs: number;
  /** Whether its passes may be left out: those that everything ends with may not. */
  readonly spared?: boolean;
  /** Ends it before its time. */
  readonly over?: AbortSignal;
}

/** A machine whose gateway is served from cron, by a service, or by both. */
export function workUntil(stage: Stage, machine: Machine, shift: Shift): void {
  const random = stage.world.randomOf(`${machine.label} works ${shift.name}`);
  const how = random.pick(["cron", "cron", "service", "both"] as const);
  if (how !== "service") pollUntil(stage, machine, shift);
  if (how === "cron") return;
  const endMs = stage.world.elapsedMs + shift.durationMs;
  const start = (): void => serveUntil(stage, machine, shift, endMs, 1);
  if (shift.spared === true) start();
  else stage.world.plan(0, `${machine.label} service ${shift.name}`, start);
}

/** Passes begin at every tick, now and then several at once, or bounded, or stopped before they are done. */
export function pollUntil(stage: Stage, machine: Machine, shift: Shift): void {
  const { world } = stage;
  const random = world.randomOf(`${machine.label} polls ${shift.name}`);
  let tick = 0;
  for (
    let atMs = random.integer(0, shift.everyMs);
    atMs < shift.durationMs;
    atMs += shift.everyMs
  ) {
    tick += 1;
    const crowd = random.chance(0.2) ? random.integer(1, stage.weather.crowd) : 1;
    for (let each = 1; each <= crowd; each += 1) {
      const name = `${shift.name}${tick}${each === 1 ? "" : `.${each}`}`;
      const delayMs = atMs + random.integer(0, stage.weather.crowd > 1 ? 100 : 1000);
      const start = (): void => {
        if (shift.over?.aborted !== true) pass(stage, machine, name);
      };
      if (shift.spared === true) world.schedule(delayMs, start);
      else world.plan(delayMs, `${machine.label} poll ${name}`, start);
    }
  }
}

function pass(stage: Stage, machine: Machine, name: string): void {
  const { world } = stage;
  const random = world.randomOf(`${machine.label} pass ${name}`);
  const stop = new AbortController();
  if (random.chance(0.05)) world.schedule(random.integer(0, 30_000), () => stop.abort());
  stage.process(machine, name, async (mailbox, life) => {
    await poll(mailbox, {
      agents: agentsOf(machine, life, stage.checker, relayOf(stage)),
      maxConcurrentRuns: 2,
      maxRuns: random.chance(0.2) ? 1 : 100,
      maxTimeMs: random.chance(0.2) ? random.integer(0, 50_000) : Infinity,
      signal: stop.signal,
    });
  });
}

/** A service and its supervisor: stopped now and then, sometimes in haste, and started again whatever it ended by. */
function serveUntil(
  stage: Stage,
  machine: Machine,
  shift: Shift,
  endMs: number,
  count: number,
): void {
  const { world } = stage;
  const name = `service ${shift.name}${count}`;
  const random = world.randomOf(`${machine.label} ${name}`);
  const [stop, haste] = [new AbortController(), new AbortController()];
  const lastsMs = random.chance(0.5) ? random.integer(0, 10 * minute) : endMs;
  const stopMs = Math.min(lastsMs, Math.max(0, endMs - world.elapsedMs));
  world.schedule(stopMs, () => stop.abort());
  shift.over?.addEventListener("abort", () => stop.abort(), { once: true });
  if (random.chance(0.3)) world.schedule(stopMs + 1000, () => haste.abort());
  const life = stage.process(machine, name.replace(" ", "-"), async (mailbox, self) => {
    await serve(mailbox, {
      agents: agentsOf(machine, self, stage.checker, relayOf(stage)),
      maxConcurrentRuns: 2,
      minDelayMs: random.pick([1000, 10_000] as const),
      maxDelayMs: 3 * minute,
      graceMs: random.integer(0, 60_000),
      signal: stop.signal,
      haste: haste.signal,
    });
  });
  const supervise = (): void => {
    if (world.elapsedMs >= endMs || shift.over?.aborted === true) return;
    if (isAlive(life)) world.schedule(minute, supervise);
    else serveUntil(stage, machine, shift, endMs, count + 1);
  };
  world.schedule(minute, supervise);
}

function isAlive(life: Life | undefined): boolean {
  return life?.alive === true;
}

/** An operator who takes retention to its end, whatever else is going on. */
export function tidyLater(stage: Stage, machine: Machine, withinMs: number, shift: string): void {
  const { world } = stage;
  const random = world.randomOf(`${machine.label} tidies ${shift}`);
  for (let count = random.integer(0, 2); count > 0; count -= 1) {
    const dryRun = random.chance(0.2);
    world.plan(random.integer(0, withinMs), `${machine.label} gc ${shift}${count}`, () => {
      stage.process(machine, `gc${shift}${count}`, async (mailbox) => {
        const { problem } = await gc(mailbox, { dryRun, sweepTemporaries: async () => 0 });
        if (problem !== null) throw problem;
      });
    });
  }
}

/** An operator releases whatever is in quarantine, once or more often. */
export function releaseBetween(stage: Stage, machine: Machine, fromMs: number, toMs: number): void {
  const { world } = stage;
  const random = world.randomOf(`${machine.label} releases ${fromMs}`);
  for (let count = random.integer(1, 3); count > 0; count -= 1) {
    world.plan(random.integer(fromMs, toMs), `${machine.label} release ${count}`, () => {
      world.tell(machine.label, "has everything released from quarantine by its operator");
      stage.process(machine, `release${count}`, async ({ state }) => {
        for (const { id } of await state.quarantined({ limit: 1000 }))
          await state.releaseQuarantined(id);
      });
    });
  }
}
