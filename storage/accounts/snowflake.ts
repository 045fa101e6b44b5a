// Ids of users, groups and devices: 37 bits of 16 ms ticks since 2026, 10 bits of worker, 6 bits of sequence. 53 bits: sortable by
// time, exact in a JavaScript number.
//
// (S1) None is minted twice, also over restarts and when the clock steps back: no id of a tick at or below `lastTick`, which
//      is kept ahead of what is minted.

import { assert, type Clock, pause } from "../../runtime/index.ts";

const TICK_MS = 16;
const START_MS = Date.UTC(2026, 0, 1);
const WORKERS = 1_024;
const SEQUENCES = 64;
const TICKS = 2 ** 37; // until 2095
/** Ticks that are reserved in one write: ids of half a minute. */
const RESERVE_TICKS = 2_000;

export interface Snowflakes {
  next(): Promise<number>;
}

/** Where the reserved tick is kept. */
export interface TickStore {
  lastTick(): Promise<number>;
  reserve(tick: number): Promise<void>;
}

export async function createSnowflakes(clock: Clock, worker: number, store: TickStore): Promise<Snowflakes> {
  if (!Number.isInteger(worker) || worker < 0 || worker >= WORKERS)
    throw new RangeError(`worker must be 0 to ${WORKERS - 1}`);
  // What was reserved before may have been minted: start above it.
  let tick = (await store.lastTick()) + 1;
  let reserved = tick - 1;
  let sequence = 0;
  let queue: Promise<unknown> = Promise.resolve();

  const mint = async (): Promise<number> => {
    const now = Math.floor((clock.wallMs() - START_MS) / TICK_MS);
    if (now > tick) {
      tick = now;
      sequence = 0;
    } else if (sequence === SEQUENCES) {
      tick += 1;
      sequence = 0;
      if (tick > now + 1) await pause(clock, TICK_MS); // do not run away from the clock
    }
    assert(tick < TICKS, "the wall clock is within the years that ids can name");
    if (tick > reserved) {
      const ahead = tick + RESERVE_TICKS;
      await store.reserve(ahead);
      reserved = ahead;
    }
    const id = (tick * WORKERS + worker) * SEQUENCES + sequence;
    sequence += 1;
    return id;
  };

  return {
    next() {
      const minted = queue.then(mint);
      queue = minted.catch(() => undefined);
      return minted;
    },
  };
}
