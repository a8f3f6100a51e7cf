import { toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { signEnvelope } from "../../src/protocol/envelope.ts";
import { encodeFrames, noPrev } from "../../src/protocol/frame.ts";
import { digest16Of, objectKey, parseObjectKey } from "../../src/protocol/object-key.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { minute, troubledMs, type Stage } from "./stage.ts";

/**
 * `plants`: whoever can write to the bucket lies in wait where objects are going to be. `lies`: its holder also
 * forges, hides, swaps and brings back what is there.
 */
export type Hostility = "none" | "plants" | "lies";

/** Does harm every half minute or so. */
export function harass(stage: Stage): void {
  const { world, weather } = stage;
  const random = world.randomOf("hostility");
  if (weather.hostility === "none") return;
  const harm = weather.hostility === "plants" ? squat : lie;
  for (
    let atMs = random.integer(0, minute);
    atMs < troubledMs;
    atMs += random.integer(1000, minute)
  ) {
    const name = `harm ${atMs}`;
    world.plan(atMs, name, () => harm(stage, world.randomOf(name)));
  }
}

function lie(stage: Stage, random: SeededRandom): void {
  const { bucket, world } = stage;
  const victim = random.pick([...bucket.objects.keys()]);
  const past = random.pick(bucket.past);
  if (victim === undefined || past === undefined) return;
  const isClaim = (key: string): boolean => parseObjectKey(key)?.kind === "owner";
  // The owner keys are what tells a state of its twin: to hide them is a limit that SPEC.md states.
  const mustStay = isClaim(victim) && stage.weather.home !== "kept";
  const bytes = bucket.objects.get(victim)?.bytes ?? new Uint8Array();
  const choice = random.integer(0, 8);
  const forge = (key: string, forged: Uint8Array): void => {
    if (mustStay && key === victim) return;
    world.tell("bucket", `has other bytes at ${key} from now on`);
    bucket.forge(key, forged);
  };
  switch (choice) {
    case 0:
      return forge(victim, flipped(bytes, random.integer(0, bytes.length * 8 - 1)));
    case 1:
      return forge(victim, bytes.slice(0, random.integer(0, bytes.length)));
    case 2:
      if (isClaim(victim)) return;
      world.tell("bucket", `hides ${victim}`);
      return bucket.hide(victim);
    case 3:
      if (isClaim(past.key)) return;
      world.tell("bucket", `brings back ${past.key}`);
      return bucket.forge(past.key, past.bytes);
    case 4:
      return forge(victim, past.bytes);
    case 5:
    case 6:
      return squat(stage, random);
    case 7:
      // Grown after it was listed, or from the start: the listing says which.
      return forge(victim, tooLarge);
    default:
      return forge(`${victim}${random.pick(["x", "/x", "\n", "-0"] as const)}`, bytes);
  }
}

const tooLarge = new Uint8Array(limits.maxEnvelopeBytes + 1);

/**
 * Lies where a waiting request's answer is going to be: its writer meets other bytes there, and its reader an answer
 * that is in order but for its signature.
 */
function squat({ world, bucket, machines }: Stage, random: SeededRandom): void {
  const waiting = [...bucket.objects].flatMap(([key, { bytes }]) => {
    const name = parseObjectKey(key);
    return name?.kind === "request" ? [{ name, requestDigest: requestDigestOf(bytes) }] : [];
  });
  const victim = random.pick(waiting);
  const stranger = machines.find(({ name }) => name !== victim?.name.to);
  if (victim === undefined || stranger === undefined) return;
  const { requestDigest } = victim;
  const { to, from, runId } = victim.name;
  const digest16 = digest16Of(requestDigest);
  const attempt = random.integer(1, 2);
  const seq = random.integer(0, 2);
  const key = objectKey({ kind: "frames", to: from, from: to, runId, digest16, attempt, seq });
  world.tell("bucket", `holds other bytes at ${key}`);
  if (random.chance(0.5)) return void bucket.put(key, random.bytes(40));
  const end = { status: "succeeded", result: "made up" } as const;
  const frames = [{ event: "terminal", payload: end, at: world.nowMs } as const];
  const plain = encodeFrames({ runId, requestDigest, attempt, seq, prev: noPrev, frames });
  const claims = { iss: to, aud: from, iat: toSeconds(world.nowMs) };
  const { realm, signingKey } = stranger;
  bucket.put(key, signEnvelope("frames", claims, plain, signingKey, { realm, key }));
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = bytes.slice();
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}

/** Shows one machine a bucket of its own for a while, or lets listings fall behind. */
export function troubleStore({ world, weather, bucket, machines }: Stage): void {
  const random = world.randomOf("store");
  for (let spell = random.integer(1, 3); spell > 0; spell -= 1) {
    const sinceMs = random.integer(0, troubledMs);
    const untilMs = Math.min(troubledMs, sinceMs + random.integer(1000, 10 * minute));
    const victim = random.pick(machines);
    const lagMs = random.integer(100, random.chance(0.5) ? 5000 : 3 * minute);
    if (weather.store === "forked" && victim !== undefined)
      world.plan(sinceMs, `fork ${spell}`, () => {
        world.tell("bucket", `shows ${victim.label} a bucket of its own from now on`);
        bucket.fork(victim.label);
        world.schedule(untilMs - sinceMs, () => {
          world.tell("bucket", `shows ${victim.label} what all others see`);
          bucket.join(victim.label);
        });
      });
    if (weather.store === "stale")
      world.plan(sinceMs, `lag ${spell}`, () => {
        world.tell("bucket", `has listings that are ${lagMs} ms behind from now on`);
        bucket.listingLagMs = lagMs;
        world.schedule(untilMs - sinceMs, () => {
          bucket.listingLagMs = 0;
        });
      });
  }
}
