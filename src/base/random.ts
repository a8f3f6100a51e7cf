import { randomBytes } from "node:crypto";

/** Randomness, passed in. The system's is cryptographic; a seeded one is for tests and the simulation. */
export interface Random {
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1): for jitter and sampling, never for secrets. */
  fraction(): number;
}

/** The same round, begun elsewhere: `fraction`, in [0, 1), says how far down. */
export function begunAt<Item>(items: readonly Item[], fraction: number): Item[] {
  const first = Math.floor(fraction * items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}

export const systemRandom: Random = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
  fraction: () => randomBytes(4).readUInt32BE() / 2 ** 32,
};
