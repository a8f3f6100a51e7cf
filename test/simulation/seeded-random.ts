import type { Random } from "../../src/base/random.ts";

/** A small, fast generator (sfc32): the same seed gives the same sequence on every machine. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    for (let warmUp = 0; warmUp < 12; warmUp += 1) this.#next();
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  fraction(): number {
    return this.#next() / 2 ** 32;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#next() & 255);
  }

  /** An integer from `least` to `most`, both possible. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly [T, ...T[]]): T;
  pick<T>(choices: readonly T[]): T | undefined;
  pick<T>(choices: readonly T[]): T | undefined {
    return choices[this.integer(0, choices.length - 1)];
  }

  /** A generator of its own, so that one consumer's appetite does not shift another's numbers. */
  fork(): SeededRandom {
    return new SeededRandom(this.#next() * 2 ** 21 + (this.#next() >>> 11));
  }
}

/**
 * A generator for what has this name under this seed. Whoever draws from a generator of their own is not shifted
 * by what others draw: so one trouble can be left out, and all others stay as they are.
 */
export function randomNamed(seed: number, name: string): SeededRandom {
  let high = 0xdeadbeef ^ seed;
  let low = 0x41c6ce57 ^ Math.floor(seed / 2 ** 32);
  for (let index = 0; index < name.length; index += 1) {
    const unit = name.charCodeAt(index);
    high = Math.imul(high ^ unit, 2_654_435_761);
    low = Math.imul(low ^ unit, 1_597_334_677);
  }
  high =
    Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low =
    Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  return new SeededRandom((low & 0x1f_ffff) * 2 ** 32 + (high >>> 0));
}
