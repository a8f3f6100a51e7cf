import type { GatewayName } from "../../src/base/names.ts";
import type { Machine } from "./machine.ts";
import { minute, troubledMs, type Stage } from "./stage.ts";
import { trustIn, type Opinion } from "./trust.ts";
import { releaseBetween } from "./working.ts";

/** What operators think of their peers in the course of this seed. */
export function troubleTrust(stage: Stage): void {
  const [asker, doer] = stage.machines;
  if (asker === undefined || doer === undefined) return;
  if (stage.weather.mistrust === "passing") {
    mistrustLater(stage, asker, doer);
    mistrustLater(stage, doer, asker);
  }
  if (stage.weather.mistrust === "at-first") trustLater(stage, doer, asker);
}

/** All the others are trusted. */
export function trust(stage: Stage, machine: Machine, version: number): void {
  think(stage, machine, version, undefined, "granted");
}

function think(
  { machines, weather }: Stage,
  machine: Machine,
  version: number,
  about: Machine | undefined,
  thinks: Opinion,
): void {
  const peers = machines.filter(({ name }) => name !== machine.name);
  machine.trust = trustIn(
    machine,
    peers.map((peer) => ({ peer, opinion: peer === about ? thinks : "granted" })),
    { version, room: weather.room },
  );
}

/** An operator withdraws what a peer may ask, this very moment, and grants it again later. */
export function withdrawGrant(stage: Stage, machine: Machine, peer: GatewayName): void {
  const { world, machines, weather } = stage;
  const about = machines.find(({ name }) => name === peer);
  // Of two operators at once, one would bring the other's document back.
  if (weather.mistrust !== "none" || about === undefined) return;
  const version = 1 + (machine.trust?.version ?? 0);
  world.tell(machine.label, `grants ${peer} nothing from now on`);
  think(stage, machine, version, about, "ungranted");
  world.schedule(2 * minute, () => {
    // Meanwhile it may have been withdrawn once more.
    if (machine.trust?.version !== version) return;
    world.tell(machine.label, `grants ${peer} all again`);
    trust(stage, machine, version + 1);
  });
}

/** A key counts only after some time; an operator then lets in what was refused until then. */
function trustLater(stage: Stage, machine: Machine, peer: Machine): void {
  const sinceMs = stage.world.randomOf(`${machine.label} trusts`).integer(2, 15) * minute;
  if (!stage.world.may(`${machine.label} trusts late`)) return;
  think(stage, machine, 1, peer, "revoked");
  stage.world.tell(machine.label, `has a document by which the key of ${peer.label} is revoked`);
  stage.world.schedule(sinceMs, () => {
    stage.world.tell(machine.label, `trusts ${peer.label} from now on`);
    trust(stage, machine, 2);
  });
  releaseBetween(stage, machine, sinceMs, sinceMs + 2 * minute);
}

/** An operator withdraws a grant or a key, an old document comes back, and all is well again. */
function mistrustLater(stage: Stage, machine: Machine, peer: Machine): void {
  const { world } = stage;
  const random = world.randomOf(`${machine.label} mistrusts`);
  const opinion = random.pick(["ungranted", "revoked"] as const);
  const sinceMs = random.integer(0, troubledMs - 6 * minute);
  const steps = [
    [sinceMs, 3, opinion],
    [sinceMs + random.integer(0, 2) * minute, 2, "granted"],
    [sinceMs + 5 * minute, 4, "granted"],
  ] as const;
  if (!world.may(`${machine.label} mistrusts`)) return;
  for (const [atMs, version, thinks] of steps) {
    world.schedule(atMs, () => {
      world.tell(machine.label, `trusts by version ${version}: ${peer.label} is ${thinks}`);
      think(stage, machine, version, peer, thinks);
    });
  }
}
