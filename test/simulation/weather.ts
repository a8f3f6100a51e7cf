import type { ErrorCode } from "../../src/base/errors.ts";
import type { Hostility } from "./hostile.ts";
import type { Faults } from "./life.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { ClockWeather } from "./sim-clock.ts";

/** `passing`: a peer falls out of favour for a while. `at-first`: it is let in only after it has asked. */
export type Mistrust = "none" | "passing" | "at-first";

/**
 * What becomes of one machine's home: an old copy of it is put back, or nothing is left of it; its disk stops to
 * take what is written; a copy of it runs on another machine as well.
 */
export type HomeWeather = "kept" | "put back" | "lost" | "damaged" | "copied";

/**
 * `forked`: one machine is shown a bucket of its own for a while. `stale`: listings are behind, beyond what the
 * contract of a store allows. Of the keys that prove which state serves a name neither is ever true: without
 * them nobody could tell, and SPEC.md says so.
 */
export type StoreWeather = "fair" | "forked" | "stale";

/** What comes right after a commit. */
export const strikeKinds = ["pause", "crash", "power", "grant", "cancel"] as const;
export type Strike = (typeof strikeKinds)[number];

/**
 * What kind of trouble one seed has in store. All six promises are held against all of it, but for what
 * SPEC.md states as limits:
 *
 * - of a lost home, that all its runs end in the one terminal that it once published;
 * - of wild clocks, and of a bucket that lies, that whatever is asked comes to its end. No two clocks may differ by
 *   more than the skew for an answer to be believed, and who hides an answer for good cannot be outwaited;
 * - of a copied home, that its own questions are answered: it has one inbox for two readers.
 */
export interface Weather {
  readonly gateways: 2 | 3;
  readonly faults: Faults;
  readonly hostility: Hostility;
  readonly store: StoreWeather;
  readonly mistrust: Mistrust;
  readonly home: HomeWeather;
  readonly clocks: ClockWeather;
  /** How many processes of a machine begin at once, at most. */
  readonly crowd: 1 | 2 | 4;
  /** How many runs of one peer may be open at once. */
  readonly room: 1 | 2;
  /** Whether strangers send more than there is room for. */
  readonly flood: boolean;
  /** Whether a callee signs a second chain of frames beside its first. */
  readonly twoTongues: boolean;
  /** How often trouble comes right after a commit as well, and of what kind. */
  readonly strikes: { readonly chance: number; readonly kind: Strike | "any" };
}

/**
 * How old a copy of a home is, only clocks tell: one that steps back by minutes makes it younger than a look at the
 * owner keys lasts, and a copy that is used within the same minute is a limit that SPEC.md states.
 */
function canTellCopies(clocks: ClockWeather, home: HomeWeather): boolean {
  if (clocks === "wild") return home === "kept";
  return clocks !== "stepping" || (home !== "put back" && home !== "copied");
}

export function drawWeather(random: SeededRandom): Weather {
  const much = random.pick([0, 0.3, 1, 2] as const);
  const home = random.pick([
    ...(["kept", "kept", "kept", "kept", "kept", "kept"] as const),
    ...(["put back", "lost", "damaged", "copied"] as const),
  ] as const);
  const strikes = {
    chance: random.pick([0, 0, 0.2, 0.6] as const),
    kind: random.pick(["any", "any", "any", ...strikeKinds] as const),
  };
  const astray = random.pick(["steady", "steady", "drifting", "stepping", "wild"] as const);
  return {
    gateways: random.chance(0.2) ? 3 : 2,
    faults: {
      failBefore: 0.03 * much,
      failAfter: 0.03 * much,
      late: 0.02 * much,
      repeat: 0.03 * much,
      crash: 0.01 * much,
      pause: 0.006 * much,
      hesitate: strikes.kind === "pause" ? strikes.chance / 10 : 0.001 * much,
    },
    hostility: random.pick(["none", "none", "plants", "lies"] as const),
    store: random.pick(["fair", "fair", "fair", "forked", "stale"] as const),
    mistrust: random.pick(["none", "none", "none", "none", "passing", "at-first"] as const),
    home,
    clocks: canTellCopies(astray, home) ? astray : "drifting",
    crowd: random.pick([1, 1, 2, 4] as const),
    room: random.pick([1, 2, 2] as const),
    flood: random.chance(0.005),
    twoTongues: random.chance(0.15),
    strikes,
  };
}

/** Whether somebody who holds the bucket may have hidden or changed what lay there. */
export function bucketLies({ hostility, store }: Weather): boolean {
  return hostility === "lies" || store === "forked";
}

/** What a process may fail with in such a world; anything else is a fault of ours. */
export function expectedCodes(weather: Weather): ReadonlySet<ErrorCode> {
  const { hostility, mistrust, home, clocks, twoTongues } = weather;
  const codes: ErrorCode[] = [
    "STORE_UNREACHABLE",
    "STORE_BUSY",
    "STATE_BUSY",
    "OWNER_UNCHECKED",
    "IDEMPOTENCY_CONFLICT",
    "RUN_UNKNOWN",
  ];
  if (home !== "kept") codes.push("STATE_ELSEWHERE", "FRAME_CHAIN_BROKEN");
  if (home === "damaged") codes.push("STATE_DAMAGED");
  if (hostility === "lies" || twoTongues || weather.store !== "fair")
    codes.push("FRAME_CHAIN_BROKEN");
  if (clocks === "stepping" || clocks === "wild" || home !== "kept") codes.push("CLOCK_BEHIND");
  // A key that is revoked at that moment, or a document that came back.
  if (mistrust !== "none") codes.push("KEY_REVOKED", "TRUST_ROLLED_BACK");
  if (clocks === "wild") codes.push("TRUST_EXPIRED");
  return new Set(codes);
}
