// Counts attempts by name and by address within a window, for so many of them at once.

import type { Clock } from "../../runtime/index.ts";
import { httpErrors } from "./errors.ts";

interface Counted {
  count: number;
  readonly sinceMs: number;
}

export class Attempts {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #rememberedMax: number;
  readonly #counted = new Map<string, Counted>();

  constructor(clock: Clock, windowMs: number, rememberedMax: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#rememberedMax = rememberedMax;
  }

  /** Throws TOO_MANY_REQUESTS when `who` has had `max` attempts within the window. */
  take(who: string, max: number): void {
    const nowMs = this.#clock.monotonicMs();
    let counted = this.#counted.get(who);
    if (counted === undefined || nowMs - counted.sinceMs >= this.#windowMs) {
      this.#counted.delete(who);
      counted = { count: 0, sinceMs: nowMs };
      this.#counted.set(who, counted);
      this.#forgetOldest();
    }
    counted.count += 1;
    if (counted.count <= max) return;
    const retryAfterMs = Math.ceil(this.#windowMs - (nowMs - counted.sinceMs));
    throw httpErrors.TOO_MANY_REQUESTS({ retryAfterMs });
  }

  /** A success: the attempts before it were a person's. */
  clear(who: string): void {
    this.#counted.delete(who);
  }

  #forgetOldest(): void {
    for (const oldest of this.#counted.keys()) {
      if (this.#counted.size <= this.#rememberedMax) return;
      this.#counted.delete(oldest);
    }
  }
}
