// Doing again what has an unknown outcome, with growing pauses, until it succeeds or nobody wants it any more.

import { type Clock, type Logger, pause } from "../../runtime/index.ts";
import type { StorageSettings } from "../settings.ts";

export interface Insistence {
  readonly clock: Clock;
  readonly settings: StorageSettings;
  readonly log: Logger;
}

/** A store that is away makes everything fail again and again: its log tells so once in this time, with a count. */
const TELL_EVERY_MS = 1_000;

/** By the log that is told, the attempts that have failed since it was. */
const untold = new WeakMap<Logger, { failed: number; toldAtMs: number }>();

function tell({ clock, log }: Insistence, error: unknown, retryAfterMs: number): void {
  const since = untold.get(log) ?? { failed: 0, toldAtMs: Number.NEGATIVE_INFINITY };
  untold.set(log, since);
  since.failed += 1;
  const nowMs = clock.monotonicMs();
  if (nowMs - since.toldAtMs < TELL_EVERY_MS) return;
  const { failed } = since;
  since.failed = 0;
  since.toldAtMs = nowMs;
  log.warn({ error, retryAfterMs, failed }, "an operation of the store has an unknown outcome and is done again");
}

/** Resolves to undefined when `wanted` said no before an attempt succeeded. */
export async function insist<T>(
  insistence: Insistence,
  attempt: () => Promise<T>,
  wanted: () => boolean,
): Promise<T | undefined> {
  if (!wanted()) return undefined;
  try {
    return await attempt();
  } catch (error) {
    return insistAfter(error, insistence, attempt, wanted);
  }
}

/** The same for whoever has made the first attempt, which failed with `error`. `failed` is called for that and each other. */
export async function insistAfter<T>(
  error: unknown,
  insistence: Insistence,
  attempt: () => Promise<T>,
  wanted: () => boolean,
  failed: () => void = () => {},
): Promise<T | undefined> {
  const { clock, settings } = insistence;
  let cause = error;
  for (let pauseMs = settings.retryPauseMs; ; pauseMs = Math.min(pauseMs * 2, settings.retryPauseMaxMs)) {
    tell(insistence, cause, pauseMs);
    failed();
    await pause(clock, pauseMs);
    if (!wanted()) return undefined;
    try {
      return await attempt();
    } catch (again) {
      cause = again;
    }
  }
}
