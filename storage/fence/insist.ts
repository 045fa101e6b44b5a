// Doing again what has an unknown outcome, with growing pauses, until it succeeds or nobody wants it any more.

import { type Clock, type Logger, pause } from "../../runtime/index.ts";
import type { StorageSettings } from "../settings.ts";

export interface Insistence {
  readonly clock: Clock;
  readonly settings: StorageSettings;
  readonly log: Logger;
}

/** Resolves to undefined when `wanted` said no before an attempt succeeded. */
export async function insist<T>(
  { clock, settings, log }: Insistence,
  attempt: () => Promise<T>,
  wanted: () => boolean,
  failed: () => void = () => {},
): Promise<T | undefined> {
  let pauseMs = settings.retryPauseMs;
  while (wanted()) {
    try {
      return await attempt();
    } catch (error) {
      log.warn({ error, retryAfterMs: pauseMs }, "an operation of the store has an unknown outcome and is done again");
    }
    failed();
    await pause(clock, pauseMs);
    pauseMs = Math.min(pauseMs * 2, settings.retryPauseMaxMs);
  }
  return undefined;
}
