import { limits } from "../../src/base/limits.ts";
import { digest16Of, objectKey, parseObjectKey } from "../../src/protocol/object-key.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import type { Bucket } from "./sim-store.ts";
import type { World } from "./world.ts";

/**
 * `plants`: whoever can write to the bucket lies in wait where objects are going to be. `lies`: its holder also
 * forges, hides, swaps and brings back what is there.
 */
export type Hostility = "none" | "plants" | "lies";

/** Does harm every half minute or so. */
export function harass(
  world: World,
  bucket: Bucket,
  hostility: Hostility,
  durationMs: number,
): void {
  const { random } = world;
  if (hostility === "none") return;
  const harm = hostility === "plants" ? squat : lie;
  for (
    let atMs = random.integer(0, 60_000);
    atMs < durationMs;
    atMs += random.integer(1000, 60_000)
  ) {
    world.schedule(atMs, () => harm(world, bucket));
  }
}

function lie(world: World, bucket: Bucket): void {
  const { random } = world;
  const victim = random.pick([...bucket.objects.keys()]);
  const past = random.pick(bucket.past);
  if (victim === undefined || past === undefined) return;
  const bytes = bucket.objects.get(victim)?.bytes ?? new Uint8Array();
  switch (random.integer(0, 8)) {
    case 0:
      return bucket.forge(victim, flipped(bytes, random.integer(0, bytes.length * 8 - 1)));
    case 1:
      return bucket.forge(victim, bytes.slice(0, random.integer(0, bytes.length)));
    case 2:
      // The owner keys are what tells a state of its twin: hiding them is a limit that SPEC.md states.
      return parseObjectKey(victim)?.kind === "owner" ? undefined : bucket.hide(victim);
    case 3:
      return bucket.forge(past.key, past.bytes);
    case 4:
      return bucket.forge(victim, past.bytes);
    case 5:
    case 6:
      return squat(world, bucket);
    case 7:
      // Grown after it was listed, or from the start: the listing says which.
      return bucket.forge(victim, new Uint8Array(limits.maxEnvelopeBytes + 1));
    default:
      return bucket.forge(`${victim}${random.pick(["x", "/x", "\n", "-0"] as const)}`, bytes);
  }
}

/** Lies where a waiting request's answer is going to be: its writer meets other bytes there. */
function squat(world: World, bucket: Bucket): void {
  const waiting = [...bucket.objects].flatMap(([key, { bytes }]) => {
    const name = parseObjectKey(key);
    return name?.kind === "request" ? [{ name, digest16: digest16Of(requestDigestOf(bytes)) }] : [];
  });
  const victim = world.random.pick(waiting);
  if (victim === undefined) return;
  const { name, digest16 } = victim;
  const { to, from, runId } = name;
  const attempt = world.random.integer(1, 2);
  const seq = world.random.integer(0, 2);
  const key = objectKey({ kind: "frames", to: from, from: to, runId, digest16, attempt, seq });
  world.note("bucket", `holds other bytes at ${key}`);
  bucket.put(key, world.random.bytes(40));
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = bytes.slice();
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}
