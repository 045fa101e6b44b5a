// Beats on a thread of its own: it sleeps until the moment and not to the next millisecond, and leaves the core to others meanwhile.

import { parentPort, workerData } from "node:worker_threads";
import type { Beats } from "./metronome.ts";

const { startAtMs, everyMs, count } = workerData as Beats;
const cell = new Int32Array(new SharedArrayBuffer(4));
for (let beat = 0; beat < count; beat++) {
  const waitMs = startAtMs + beat * everyMs - (performance.timeOrigin + performance.now());
  if (waitMs > 0) Atomics.wait(cell, 0, 0, waitMs);
  parentPort?.postMessage(beat);
}
