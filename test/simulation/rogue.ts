import { toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName, type GatewayName } from "../../src/base/names.ts";
import { parseEnvelope, signEnvelope } from "../../src/protocol/envelope.ts";
import { decodeFrames, encodeFrames, type FramesPayload } from "../../src/protocol/frame.ts";
import { objectKey, parseObjectKey } from "../../src/protocol/object-key.ts";
import { encodeRequest, type RequestPayload } from "../../src/protocol/request.ts";
import { runIdOf } from "../../src/protocol/run-id.ts";
import type { Machine } from "./machine.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { minute, troubledMs, type Stage } from "./stage.ts";

const somebodyElse = parseGatewayName("somebody.else");

/** Peers that hold their keys and sign what the protocol does not allow. */
export function troublePeers(stage: Stage): void {
  const { world, weather, machines } = stage;
  const [peer, victim] = machines;
  if (peer === undefined || victim === undefined) return;
  const random = world.randomOf("rogues");
  if (weather.hostility !== "none")
    for (let count = random.integer(1, 3); count > 0; count -= 1)
      world.plan(random.integer(0, troubledMs), `rogue ${count}`, () =>
        sendRogue(stage, peer, victim, world.randomOf(`rogue ${count}`)),
      );
  if (weather.flood)
    world.plan(random.integer(0, troubledMs / 2), "flood", () => flood(stage, victim));
  if (!weather.twoTongues) return;
  for (
    let atMs = random.integer(0, minute);
    atMs < troubledMs;
    atMs += random.integer(2000, 20_000)
  )
    world.plan(atMs, `second tongue at ${atMs}`, () =>
      forkChain(stage, world.randomOf(`tongue ${atMs}`)),
    );
}

/** More than quarantine has room for, of senders whom nobody knows. */
function flood({ world, bucket }: Stage, victim: Machine): void {
  const junk = new Uint8Array(limits.maxEnvelopeBytes);
  const room = limits.quarantineBytesPerPeer / junk.length;
  world.tell("bucket", `is flooded with requests to ${victim.label}`);
  for (let count = 0; count <= room + 2; count += 1) {
    const from = parseGatewayName(`stranger-${count % 3}`);
    const parts = { realm: victim.realm, caller: from, tenant: undefined, callee: victim.name };
    const runId = runIdOf({ ...parts, idempotencyKey: `${count}` });
    bucket.put(objectKey({ kind: "request", to: victim.name, from, runId }), junk);
  }
}

/** Other people's names, names that are not the hash of their content, endless times to live. None of it may run. */
function sendRogue(
  { world, bucket }: Stage,
  peer: Machine,
  victim: Machine,
  random: SeededRandom,
): void {
  const idempotencyKey = `rogue ${random.integer(0, 1e9)}`;
  const iat = toSeconds(world.nowMs);
  let iss: GatewayName = peer.name;
  let aud: GatewayName = victim.name;
  let identity: GatewayName = peer.name;
  let named = idempotencyKey;
  let exp = iat + 600;
  switch (random.integer(0, 4)) {
    case 0:
      iss = somebodyElse;
      break;
    case 1:
      aud = somebodyElse;
      break;
    case 2:
      identity = somebodyElse;
      break;
    case 3:
      named = "another key";
      break;
    default:
      exp = iat + (2 * limits.maxTtlMs) / 1000;
  }
  const payload: RequestPayload = {
    agentTarget: parseAgentName("report"),
    idempotencyKey,
    callerIdentity: { gateway: identity },
    body: { kind: "prompt", prompt: { text: "do as I say" } },
  };
  const parts = { realm: peer.realm, caller: peer.name, tenant: undefined, callee: victim.name };
  const runId = runIdOf({ ...parts, idempotencyKey: named });
  const key = objectKey({ kind: "request", to: victim.name, from: peer.name, runId });
  const claims = { iss, aud, iat, exp };
  world.tell(peer.label, `sends a rogue request as ${runId}`);
  const plain = encodeRequest(payload);
  bucket.put(
    key,
    signEnvelope("request", claims, plain, peer.signingKey, { realm: peer.realm, key }),
  );
}

/**
 * A callee that speaks with two tongues: behind frames that stand it puts others, signed well, that follow something
 * else. A reader must not take them for a part of what came before.
 */
function forkChain({ world, bucket, machines }: Stage, random: SeededRandom): void {
  const standing = [...bucket.objects].flatMap(([key, { bytes }]) => {
    const name = parseObjectKey(key);
    const signer =
      name?.kind === "frames" ? machines.find((each) => each.name === name.from) : undefined;
    const payload = signer === undefined ? undefined : framesIn(bytes);
    if (name?.kind !== "frames" || signer === undefined || payload === undefined) return [];
    return payload.frames.at(-1)?.event === "terminal" ? [] : [{ name, signer, payload }];
  });
  const victim = random.pick(standing);
  if (victim === undefined) return;
  const { name, signer, payload } = victim;
  const seq = payload.seq + payload.frames.length;
  const key = objectKey({ ...name, seq });
  if (bucket.objects.has(key)) return;
  const claims = { iss: signer.name, aud: name.to, iat: toSeconds(world.nowMs) };
  const isEnd = random.chance(0.3);
  const frame = isEnd
    ? ({ event: "terminal", payload: { status: "succeeded", result: "of another chain" } } as const)
    : ({ event: "textDelta", payload: { text: "of another chain" } } as const);
  const frames = [{ ...frame, at: world.nowMs }];
  const forked = encodeFrames({ ...payload, seq, prev: random.bytes(32), frames });
  world.tell(signer.label, `puts ${key}, which follows something else`);
  bucket.put(
    key,
    signEnvelope("frames", claims, forked, signer.signingKey, { realm: signer.realm, key }),
  );
}

/** Undefined for what are no frames. */
function framesIn(bytes: Uint8Array): FramesPayload | undefined {
  try {
    return decodeFrames(parseEnvelope("frames", bytes).untrustedPayload);
  } catch {
    return undefined;
  }
}
