// How long to wait before the next attempt: full jitter, so that clients that were cut off together come back apart.

import type { Random } from "./ports.ts";

export interface BackoffLimits {
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
}

/** Anywhere in [0, min(cap, base · 2^attempt)); `attempt` counts from 0. */
export function backoffMs(attempt: number, random: Random, { backoffBaseMs, backoffCapMs }: BackoffLimits): number {
  return Math.floor(random.next() * Math.min(backoffCapMs, backoffBaseMs * 2 ** Math.min(attempt, 30)));
}
