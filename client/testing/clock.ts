// A clock that stands still until it is told to go on.

import type { Clock, Timer } from "../ports.ts";

/** Turns of the microtask queue that everything which is ready gets between two timers. */
const SETTLE_TURNS = 200;

interface Due {
  readonly atMs: number;
  readonly task: () => void;
}

export interface TestClock extends Clock {
  advance(ms: number): Promise<void>;
  settle(): Promise<void>;
}

export function createTestClock(): TestClock {
  let nowMs = 0;
  const waiting = new Set<Due>();
  const settle = async () => {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await undefined;
  };
  return {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs + 1_800_000_000_000,
    after(delayMs, task): Timer {
      const due = { atMs: nowMs + delayMs, task };
      waiting.add(due);
      return { cancel: () => void waiting.delete(due) };
    },
    settle,
    async advance(ms) {
      const untilMs = nowMs + ms;
      await settle();
      for (;;) {
        const [next] = [...waiting].sort((a, b) => a.atMs - b.atMs);
        if (next === undefined || next.atMs > untilMs) break;
        waiting.delete(next);
        nowMs = next.atMs;
        next.task();
        await settle();
      }
      nowMs = untilMs;
    },
  };
}

/** Another value each time, the same ones each run. */
export function countingRandom(): { next(): number } {
  let count = 0;
  return {
    next() {
      count += 1;
      return (count * 0.618_033_988_75) % 1;
    },
  };
}
