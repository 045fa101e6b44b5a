// When messages are sent. Open: at their intended times, however late the answers are, and latency counts from the intended
// time. Closed: the next one when the last one is answered.

import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers";

/**
 * Calls `send(n, intendedMs)` at `rate` a second until `forMs` are over: to the millisecond, or, with `spin`, as exactly as a
 * core can that does nothing else.
 */
export function openLoop(
  rate: number,
  forMs: number,
  send: (n: number, intendedMs: number) => void,
  spin = false,
): Promise<number> {
  const startMs = performance.now();
  let n = 0;
  return new Promise((resolve) => {
    const step = () => {
      const nowMs = performance.now();
      const due = Math.min(nowMs - startMs, forMs) * (rate / 1_000);
      for (; n < due; n++) send(n, startMs + n / (rate / 1_000));
      if (nowMs - startMs >= forMs) resolve(n);
      else if (spin) setImmediate(step);
      else setTimeout(step, 1);
    };
    step();
  });
}
