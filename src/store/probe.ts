import { equalBytes, toBase32, utf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName, ObjectKey } from "../base/names.ts";
import type { Random } from "../base/random.ts";
import { checkKey } from "./key.ts";
import { retryableStoreCodes, type ListEntry, type Store } from "./store.ts";

/** What was found out about a store by using it. */
export interface StoreProbe {
  /** `atomic`: of racing puts exactly one won, and nothing was overwritten. `weak` stores lose messages. */
  readonly conditionalPut: "atomic" | "weak";
  /** How many racing puts of one key claimed to have made the object. */
  readonly winners: number;
  readonly racers: number;
  /** How many of them the store turned away as too many, or lost the answer of. */
  readonly turnedAway: number;
  /** Whether the object was listed within `limits.probeLagMs`, and a listing that starts after it was without it. */
  readonly listed: boolean;
  /** Whether it could neither be read nor be seen in a listing within as long after its deletion. */
  readonly deleted: boolean;
  /** How long it took until a listing showed it, or until listing and reading did no more; 0 for at once. */
  readonly lagMs: number;
  /** The store's clock minus ours; 0 when no difference could be seen. Undefined if the object was not listed. */
  readonly clockOffsetMs: number | undefined;
}

export interface ProbeOptions {
  /** Whose probe folder is written to. */
  readonly gateway: GatewayName;
  readonly clock: Clock;
  readonly random: Random;
}

/** Stamps of many stores are whole seconds. */
const stampMs = 1000;

/**
 * Races conditional writes on a fresh key of the gateway's probe folder and looks at what comes of it. The
 * store must not be under `retryStore`: a repeated put hides who won. Throws what the store's calls throw;
 * a write may be left behind then.
 */
export async function probeStore(store: Store, options: ProbeOptions): Promise<StoreProbe> {
  const { gateway, clock, random } = options;
  for (let round = 1; ; round++) {
    const key = freshKey(gateway, random);
    const started = clock.now();
    const race = await racePuts(store, key);
    const ended = clock.now();
    // A store under load may turn all of them away, or lose the winner's answer.
    if (race.winners.length === 0 && race.busy !== undefined) {
      await store.delete(key);
      if (round === limits.probeRounds) throw race.busy;
      continue;
    }
    const kept = await keepsTheFirst(store, key, race.winners);
    const listing = await awaited(clock, () => listedEntry(store, key));
    const entry = listing.found;
    await store.delete(key);
    const deletion = await awaited(clock, () => isGone(store, key));
    return {
      conditionalPut: kept && store.capabilities.atomicPut !== "no" ? "atomic" : "weak",
      winners: race.winners.length,
      racers: limits.probeRacers,
      turnedAway: race.turnedAway,
      listed: entry !== undefined,
      deleted: deletion.found === true,
      lagMs: Math.max(listing.tookMs, deletion.tookMs),
      clockOffsetMs: entry === undefined ? undefined : offset(entry.modifiedMs, started, ended),
    };
  }
}

/**
 * Makes sure that the store does not write over what stands: a second write of a fresh name must not take place.
 * It costs two puts, and finds out nothing of races. Throws `STORE_UNSAFE`, or as the store does.
 */
export async function requireConditionalPut(
  store: Store,
  { gateway, random }: Omit<ProbeOptions, "clock">,
): Promise<void> {
  const key = freshKey(gateway, random);
  await store.put(key, utf8("probe"));
  const again = await store.put(key, utf8("probe again"));
  // What cannot be deleted now is swept some time, and says nothing against the store.
  await store.delete(key).catch(() => undefined);
  if (again === "exists") return;
  throw new PosternError(
    "STORE_UNSAFE",
    `${store.capabilities.location} writes over what stands, and nothing may run for others there: use a store that honours If-None-Match`,
  );
}

/** SPEC.md, Object keys: `<gateway>/probe/<26 characters>`. */
function freshKey(gateway: GatewayName, random: Random): ObjectKey {
  const key = `${gateway}/probe/${toBase32(random.bytes(16))}`;
  checkKey(key);
  return key;
}

interface Race {
  readonly winners: readonly Uint8Array[];
  readonly turnedAway: number;
  /** A failure that leaves open whether its put took effect. */
  readonly busy: PosternError | undefined;
}

async function racePuts(store: Store, key: ObjectKey): Promise<Race> {
  const entrants = Array.from({ length: limits.probeRacers }, (_, index) => utf8(`probe ${index}`));
  const results = await Promise.allSettled(entrants.map((bytes) => store.put(key, bytes)));
  const winners: Uint8Array[] = [];
  let busy: PosternError | undefined;
  let turnedAway = 0;
  for (const [index, result] of results.entries()) {
    const bytes = entrants[index];
    if (result.status === "rejected") {
      busy = expectBusy(result.reason);
      turnedAway += 1;
    } else if (result.value === "created" && bytes !== undefined) winners.push(bytes);
  }
  return { winners, turnedAway, busy };
}

function expectBusy(reason: unknown): PosternError {
  if (reason instanceof PosternError && retryableStoreCodes.has(reason.code)) return reason;
  throw reason;
}

/** Whether one put won, and its bytes outlive another attempt to write there. */
async function keepsTheFirst(
  store: Store,
  key: ObjectKey,
  winners: readonly Uint8Array[],
): Promise<boolean> {
  const [winner, ...others] = winners;
  if (winner === undefined || others.length > 0) return false;
  if ((await store.put(key, utf8("probe again"))) !== "exists") return false;
  const found = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
  return found.status === "found" && equalBytes(found.bytes, winner);
}

async function listedEntry(store: Store, key: ObjectKey): Promise<ListEntry | undefined> {
  const page = await store.list({ prefix: key, limit: 2 });
  const rest = await store.list({ prefix: key, startAfter: key, limit: 2 });
  const [entry, ...others] = page.entries;
  return entry?.key === key && others.length === 0 && rest.entries.length === 0 ? entry : undefined;
}

/** Neither listed nor read; undefined while it still is. */
async function isGone(store: Store, key: ObjectKey): Promise<true | undefined> {
  const { entries } = await store.list({ prefix: key, limit: 2 });
  if (entries.some((entry) => entry.key === key)) return undefined;
  const found = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
  return found.status === "absent" ? true : undefined;
}

/** Looks again and again, for `limits.probeLagMs` at most; `tookMs` is 0 where the first look finds it. */
async function awaited<T>(
  clock: Clock,
  look: () => Promise<T | undefined>,
): Promise<{ readonly found: T | undefined; readonly tookMs: number }> {
  const begunMs = clock.now();
  for (let looks = 1; ; looks += 1) {
    const found = await look();
    const tookMs = looks === 1 ? 0 : clock.now() - begunMs;
    if (found !== undefined || tookMs >= limits.probeLagMs) return { found, tookMs };
    await clock.sleep(limits.probeLookMs);
  }
}

/** How far the stamp lies outside of the time in which it can have been made. */
function offset(stamp: number, started: number, ended: number): number {
  if (stamp < started - stampMs) return stamp - (started - stampMs);
  return stamp > ended ? stamp - ended : 0;
}
