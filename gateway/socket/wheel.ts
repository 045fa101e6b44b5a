// One timer for all sessions: each is looked at when its next moment has come, to the second.

import type { Clock, Timer } from "../../runtime/index.ts";

const SLOTS = 64;
const TICK_MS = 1_000;

export class Wheel<T> {
  readonly #slots: T[][] = Array.from({ length: SLOTS }, () => []);
  readonly #clock: Clock;
  readonly #look: (item: T) => number;
  #at = 0;
  #timer: Timer | undefined;

  /** @param look gives the milliseconds until the item is to be looked at again; 0 or less ends it. */
  constructor(clock: Clock, look: (item: T) => number) {
    this.#clock = clock;
    this.#look = look;
    this.#arm();
  }

  add(item: T, delayMs: number): void {
    const ticks = Math.min(SLOTS - 1, Math.max(1, Math.ceil(delayMs / TICK_MS)));
    (this.#slots[(this.#at + ticks) % SLOTS] as T[]).push(item);
  }

  #arm(): void {
    this.#timer = this.#clock.after(TICK_MS, () => {
      this.#at = (this.#at + 1) % SLOTS;
      const due = this.#slots[this.#at] as T[];
      this.#slots[this.#at] = [];
      for (const item of due) {
        const againMs = this.#look(item);
        if (againMs > 0) this.add(item, againMs);
      }
      this.#arm();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
