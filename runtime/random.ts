// Chance, as a port.

export interface Random {
  /** In [0, 1). */
  next(): number;
}

export const systemRandom: Random = { next: () => Math.random() };

/** The same seed gives the same sequence (mulberry32). Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    },
  };
}

/** An integer in [0, below). */
export function randomBelow(random: Random, below: number): number {
  return Math.floor(random.next() * below);
}
