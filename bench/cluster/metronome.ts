// Sends at their intended times on a machine that has no core to spare for looking at the clock (compare pace.ts, which spins):
// a timer of Node.js is up to a millisecond late, and half of that would be in every latency.

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { randomBelow, seededRandom } from "../../runtime/index.ts";

export interface Beats {
  /** Since 1970, as `performance.timeOrigin + performance.now()`. */
  readonly startAtMs: number;
  readonly everyMs: number;
  readonly count: number;
}

/** Longer than a thread takes to start. */
const START_AFTER_MS = 200;

/**
 * Calls `send(n, intendedMs)` at `rate` a second until `forMs` are over, however late the answers are. Resolves with how late the
 * sends were, ascending, in milliseconds.
 */
export async function steadily(
  rate: number,
  forMs: number,
  send: (n: number, intendedMs: number) => void,
): Promise<number[]> {
  const startMs = performance.now() + START_AFTER_MS;
  const everyMs = 1_000 / rate;
  const beats: Beats = {
    startAtMs: performance.timeOrigin + startMs,
    everyMs,
    count: Math.floor(forMs / everyMs),
  };
  const ending = import.meta.url.endsWith(".js") ? "js" : "ts";
  const thread = new Worker(new URL(`./metronome-thread.${ending}`, import.meta.url), { workerData: beats });
  const late: number[] = [];
  thread.on("message", (beat: number) => {
    const intendedMs = startMs + beat * everyMs;
    late.push(performance.now() - intendedMs);
    send(beat, intendedMs);
  });
  await once(thread, "exit");
  return late.sort((a, b) => a - b);
}

const SEED = 20_261_127;

/**
 * Who of so many sends next. One after another would make both people of a 1:1 write within a millisecond of each other, every time:
 * the second would wait for the write of the first, for a channel has one on its way, and no two people chat so.
 */
export function drawnOf(count: number): () => number {
  const random = seededRandom(SEED);
  return () => randomBelow(random, count);
}
