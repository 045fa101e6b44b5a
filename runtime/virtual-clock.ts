// A clock that stands still until it is told to go on, so that a test of half an hour takes a moment and one seed gives one
// run. Time moves from timer to timer; between two of them everything that is ready runs.

import type { Clock, Timer } from "./clock.ts";

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

export interface VirtualClock extends Clock {
  /** Lets `ms` pass; resolves when everything that fell due has run. */
  advance(ms: number): Promise<void>;
  /** Runs what is ready without letting time pass. */
  settle(): Promise<void>;
  /** Moves the wall clock only, as an administrator or a bad time server does. */
  stepWall(ms: number): void;
  /** Timers that have not fired. */
  readonly waiting: number;
}

/** Turns of the real event loop that promises and immediates get between two timers. */
const SETTLE_TURNS = 12;

export function createVirtualClock(startWallMs = Date.UTC(2026, 5, 1)): VirtualClock {
  let nowMs = 0;
  let wallOffsetMs = startWallMs;
  let order = 0;
  let entries: Entry[] = [];

  const settle = async () => {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  return {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs + wallOffsetMs,
    after(delayMs, task): Timer {
      const entry: Entry = { atMs: nowMs + Math.max(0, delayMs), order: order++, task, cancelled: false };
      const at = entries.findIndex((other) => other.atMs > entry.atMs);
      entries.splice(at < 0 ? entries.length : at, 0, entry);
      return {
        cancel() {
          entry.cancelled = true;
          entries = entries.filter((other) => other !== entry);
        },
      };
    },
    soon: (task) => void setImmediate(task),
    next: (task) => process.nextTick(task),
    settle,
    async advance(ms) {
      const untilMs = nowMs + ms;
      await settle();
      for (let next = entries[0]; next !== undefined && next.atMs <= untilMs; next = entries[0]) {
        entries.shift();
        nowMs = next.atMs;
        if (!next.cancelled) next.task();
        await settle();
      }
      nowMs = Math.max(nowMs, untilMs); // another advance may have gone further
    },
    stepWall(ms) {
      wallOffsetMs += ms;
    },
    get waiting() {
      return entries.length;
    },
  };
}
