import { toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName, parseGatewayName, type GatewayName } from "../../src/base/names.ts";
import { signEnvelope } from "../../src/protocol/envelope.ts";
import { objectKey } from "../../src/protocol/object-key.ts";
import { encodeRequest, type RequestPayload } from "../../src/protocol/request.ts";
import { runIdOf } from "../../src/protocol/run-id.ts";
import type { Machine } from "./machine.ts";
import type { Bucket } from "./sim-store.ts";
import type { World } from "./world.ts";

const somebodyElse = parseGatewayName("somebody.else");

/**
 * A peer that holds its keys and signs what the protocol does not allow: other people's names, names that are
 * not the hash of their content, endless times to live. None of it may run.
 */
export function sendRogue(world: World, bucket: Bucket, peer: Machine, victim: Machine): void {
  const { random } = world;
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
  const binding = { realm: peer.realm, key };
  world.note(peer.name, `sends a rogue request as ${runId}`);
  bucket.put(
    key,
    signEnvelope(
      "request",
      { iss, aud, iat, exp },
      encodeRequest(payload),
      peer.signingKey,
      binding,
    ),
  );
}
