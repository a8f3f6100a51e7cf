import { toSeconds } from "../base/clock.ts";
import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import { parseEnvelope, signEnvelope } from "../protocol/envelope.ts";
import { objectKey, ownerPrefix, parseObjectKey } from "../protocol/object-key.ts";
import { decodeOwner, encodeOwner, type OwnerPayload } from "../protocol/owner.ts";
import { entriesBelow } from "../store/entries-below.ts";
import { requireConditionalPut } from "../store/probe.ts";
import type { OwnerLook, OwnerView, RunView } from "../state/state.ts";
import { newNonce, type Mailbox } from "./mailbox.ts";
import { readObject, type ReadObject } from "./read-object.ts";

/** A look is renewed this long before it is too old to act on. */
const renewLookMs = limits.ownerLookMs / 2;

/** A look that a claim follows, with the highest generation it found. */
type Begun = Pick<OwnerLook, "begunMs" | "bornMs" | "generation">;

interface FoundClaim {
  readonly claim: OwnerPayload;
  readonly issuedMs: number;
  readonly ours: boolean;
}

/**
 * Makes sure that this state, and no other, serves the gateway's name: looks at the owner keys unless
 * that was done within the last half minute, and claims the next generation once an hour; right after a
 * recovery, whatever stands is past (SPEC.md, Owner). Throws `STATE_ELSEWHERE`, or a code of class `store`.
 */
export async function ensureOwner(box: Mailbox): Promise<void> {
  const before = await box.state.owner();
  const begunMs = box.clock.now();
  if (before.elsewhere) throw stateElsewhere(box);
  if (before.recovering) return adoptOwner(box, before, begunMs);
  if (before.lookMs !== null && before.claimedMs !== null) {
    const fresh = begunMs >= before.lookMs && begunMs - before.lookMs < renewLookMs;
    if (fresh && !claimIsDue(before, begunMs)) return;
  }
  await box.state.noteOwner(await lookAtOwner(box, before, begunMs));
  const seen = await box.state.owner();
  if (seen.elsewhere) throw stateElsewhere(box);
  if (claimIsDue(seen, begunMs))
    await claimOwner(box, { begunMs, bornMs: before.bornMs, generation: seen.generation });
}

/**
 * Claims the name for a state that was recovered while the store was away: what is signed until it is claimed never
 * runs. Throws as `ensureOwner`.
 */
export async function claimAfterRecovery(box: Mailbox): Promise<void> {
  if ((await box.state.owner()).unclaimed) await ensureOwner(box);
}

/**
 * Looks at the owner keys and claims nothing; a recovered state has nothing to look for yet. Answers with the
 * highest generation that is known then, 0 for none. Unless it is to be remembered, nothing is written
 * anywhere. Throws `STATE_ELSEWHERE`, or a code of class `store`.
 */
export async function checkOwner(box: Mailbox, { remember = true } = {}): Promise<number> {
  const before = await box.state.owner();
  if (before.elsewhere) throw stateElsewhere(box);
  if (before.recovering) return before.generation;
  const look = await lookAtOwner(box, before, box.clock.now());
  if (remember) await box.state.noteOwner(look);
  if (look.elsewhere) throw stateElsewhere(box);
  return look.generation;
}

function claimIsDue(owner: OwnerView, nowMs: number): boolean {
  return (
    owner.claimedMs === null ||
    nowMs < owner.claimedMs ||
    nowMs - owner.claimedMs >= limits.ownerClaimMs
  );
}

/** A recovered state takes the generations that stand as past ones, whoever claimed them, and claims the next. */
async function adoptOwner(box: Mailbox, known: OwnerView, begunMs: number): Promise<void> {
  const found = await listedClaims(box, known.generation);
  const generation = found.at(-1)?.claim.generation ?? known.generation;
  const begun = { begunMs, bornMs: known.bornMs, generation };
  await box.state.noteOwner({ ...begun, claimedMs: null, elsewhere: false });
  await claimOwner(box, begun);
}

/** Whether any owner key of this name stands in the store: then `init` must not make the gateway anew. */
export async function hasOwner(box: Pick<Mailbox, "store" | "self">): Promise<boolean> {
  const page = await box.store.list({ prefix: ownerPrefix(box.self), limit: 1 });
  return page.entries.length > 0;
}

async function lookAtOwner(box: Mailbox, before: OwnerView, begunMs: number): Promise<OwnerLook> {
  // Claims are consecutive, so while the last look is recent, the key after ours tells everything.
  const recent =
    before.lookMs !== null &&
    begunMs - before.lookMs < limits.ownerClaimMs &&
    begunMs >= before.lookMs;
  const found = recent
    ? await nextClaims(box, before.generation)
    : await listedClaims(box, before.generation);
  const last = found.at(-1);
  return {
    begunMs,
    bornMs: before.bornMs,
    generation: last?.claim.generation ?? before.generation,
    claimedMs: last === undefined ? before.claimedMs : last.ours ? last.issuedMs : null,
    elsewhere: found.some(({ ours }) => !ours),
  };
}

async function nextClaims(box: Mailbox, generation: number): Promise<FoundClaim[]> {
  const found: FoundClaim[] = [];
  for (let next = generation + 1; next <= generation + limits.ownerKeysPerLook; next += 1) {
    const read = await readObject(box.store, ownerKey(box, next));
    if (read.status === "absent") return found;
    const claim = await verifiedClaim(box, next, read);
    if (claim !== undefined) found.push(claim);
  }
  if (found.length === 0) throw ownerKeysFlooded(box);
  return found;
}

async function listedClaims(box: Mailbox, generation: number): Promise<FoundClaim[]> {
  const found: FoundClaim[] = [];
  let forged = 0;
  const startAfter = generation > 0 ? ownerKey(box, generation) : undefined;
  for await (const { key } of entriesBelow(box.store, {
    prefix: ownerPrefix(box.self),
    startAfter,
  })) {
    const name = parseObjectKey(key);
    const claim =
      name?.kind === "owner" && name.generation > generation
        ? await verifiedClaim(box, name.generation, await readObject(box.store, objectKey(name)))
        : undefined;
    if (claim !== undefined) found.push(claim);
    else if (++forged >= limits.ownerKeysPerLook) throw ownerKeysFlooded(box);
  }
  return found;
}

/** The claim if it verifies under this gateway's own key; anything else is no claim, and is reported. */
async function verifiedClaim(
  box: Mailbox,
  generation: number,
  read: ReadObject,
): Promise<FoundClaim | undefined> {
  if (read.status === "absent") return undefined;
  try {
    if (read.status === "unreadable") throw read.error;
    const envelope = parseEnvelope("owner", read.bytes);
    const payload = envelope.verify(box.signingKey.publicKey, {
      realm: box.realm,
      key: ownerKey(box, generation),
    });
    const claim = decodeOwner(payload);
    if (envelope.claims.iss !== box.self || claim.generation !== generation) {
      throw new PosternError("PAYLOAD_INVALID", "the claim names another gateway or generation");
    }
    const ours = await box.state.knowsOwnerNonce(claim.nonce);
    return { claim, issuedMs: envelope.claims.iat * 1000, ours };
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.class !== "trust" && error.code !== "STORE_ENCODING") throw error;
    box.log.warn({ generation, code: error.code }, "an owner key does not verify and is no claim");
    return undefined;
  }
}

/**
 * The nonce is committed before the claim that carries it is put: a claim found later is known to be ours.
 * Throws `STORE_UNSAFE` on a store that writes over what stands, or whose owner keys are flooded.
 */
async function claimOwner(box: Mailbox, begun: Begun): Promise<void> {
  const { begunMs, bornMs, generation: highest } = begun;
  // Where one claim replaces another, neither of two states that claim at once would find out.
  await requireConditionalPut(box.store, { gateway: box.self, random: box.random });
  const nonce = newNonce(box.random);
  await box.state.commitOwnerNonce(nonce);
  for (
    let generation = highest + 1;
    generation <= highest + limits.ownerKeysPerLook;
    generation += 1
  ) {
    const key = ownerKey(box, generation);
    const claims = { iss: box.self, iat: toSeconds(begunMs) };
    const payload = encodeOwner({ generation, nonce });
    const bytes = signEnvelope("owner", claims, payload, box.signingKey, { realm: box.realm, key });
    const created = (await box.store.put(key, bytes)) === "created";
    const found = created
      ? { claim: { generation, nonce }, issuedMs: begunMs, ours: true }
      : await verifiedClaim(box, generation, await readObject(box.store, key));
    if (found === undefined) continue;
    const claimedMs = found.ours ? found.issuedMs : null;
    const elsewhere = !found.ours;
    await box.state.noteOwner({ begunMs, bornMs, generation, claimedMs, elsewhere });
    if (!found.ours) throw stateElsewhere(box);
    await dropOneBelow(box, generation);
    return;
  }
  throw ownerKeysFlooded(box);
}

function ownerKeysFlooded(box: Mailbox): PosternError {
  return new PosternError(
    "STORE_UNSAFE",
    `the owner keys of ${box.self} are flooded: clean ${ownerPrefix(box.self)} in the store`,
  );
}

/** Each new claim lets one past claim go, so that they do not grow for ever; `gc` meets what stays. */
async function dropOneBelow(box: Mailbox, newest: number): Promise<void> {
  const generation = newest - limits.keptOwnerKeys - 1;
  if (generation < 1) return;
  try {
    if (await isPastClaim(box, generation, newest))
      await box.store.delete(ownerKey(box, generation));
  } catch (thrown) {
    const { code } = asPosternError(thrown);
    box.log.warn({ generation, code }, "a past owner key could not be deleted");
  }
}

/**
 * Whether nobody needs a claim any more (SPEC.md, Owner): it is far below the newest, and so old that whoever
 * has not seen it lists the keys instead of predicting it. What does not verify is never deleted: a claim that
 * went around it is found only as long as it lies there. Rejects as the store does.
 */
export async function isPastClaim(
  box: Mailbox,
  generation: number,
  newest: number,
): Promise<boolean> {
  if (generation >= newest - limits.keptOwnerKeys) return false;
  const read = await readObject(box.store, ownerKey(box, generation));
  const found = await verifiedClaim(box, generation, read);
  return found !== undefined && box.clock.now() - found.issuedMs > limits.keptOwnerKeyMs;
}

function ownerKey(box: Mailbox, generation: number): ObjectKey {
  return objectKey({ kind: "owner", gateway: box.self, generation });
}

/**
 * What every transaction that makes a receipt, takes over, starts or ends asks first. Throws
 * `STATE_ELSEWHERE`, `OWNER_UNCHECKED` or `CLOCK_BEHIND`; nothing is committed then.
 */
export function requireOwner(view: RunView): void {
  if (view.owner.elsewhere) {
    throw new PosternError(
      "STATE_ELSEWHERE",
      "another state serves this gateway: see `postern state recover`",
    );
  }
  if (view.nowMs < view.highestClockMs - limits.clockStepMs) {
    throw new PosternError(
      "CLOCK_BEHIND",
      "the clock is behind what this state has seen: correct it, or wait; if it ran ahead, run `postern state recover`",
    );
  }
  const { lookMs, claimedMs } = view.owner;
  const current =
    lookMs !== null && lookMs <= view.nowMs && view.nowMs - lookMs < limits.ownerLookMs;
  if (!current || claimedMs === null) {
    throw new PosternError(
      "OWNER_UNCHECKED",
      "the last look at the owner keys is too old: it is tried again",
    );
  }
}

/** What a state that no longer serves the name refuses with. */
export function stateElsewhere(box: Mailbox): PosternError {
  return new PosternError(
    "STATE_ELSEWHERE",
    `another state serves ${box.self}: stop the other machine, or run \`postern state recover\` here`,
  );
}
