// The driver keeps one connection by which it learns of the ring's members, and takes another one when that ends. It does so
// several times at once when several things end together, as after a pause of the process; each begins by forgetting what the
// other has found, and what is thrown then ends the process (NODEJS-681, open in 4.10.0). Here it does so one at a time.

import { type Clock, type Logger, pause } from "../../runtime/index.ts";

/** Of the driver's own parts, which its types do not name. */
export interface ControlConnection {
  _isShuttingDown: boolean;
  /** Takes another connection; with the hosts that are left when it goes on with those by itself. */
  _refresh(hosts?: unknown): Promise<void>;
}

/** Pause after a failure that the driver did not foresee; those that it did, it tries again by itself. */
const AGAIN_AFTER_MS = 1_000;

export function oneRefreshAtATime(control: ControlConnection, clock: Clock, log: Logger): void {
  const refresh = control._refresh.bind(control);
  let running: Promise<void> | undefined;
  let askedMeanwhile = false;

  const run = async () => {
    do {
      askedMeanwhile = false; // by what ends from now on
      try {
        await refresh();
      } catch (error) {
        log.warn({ error }, "the driver of the ring lost sight of its members, and looks again");
        await pause(clock, AGAIN_AFTER_MS);
        askedMeanwhile = true;
      }
    } while (askedMeanwhile && !control._isShuttingDown);
    running = undefined;
  };

  control._refresh = (hosts) => {
    if (hosts !== undefined) return refresh(hosts); // a part of the one that runs
    askedMeanwhile = true;
    running ??= run();
    return running;
  };
}
