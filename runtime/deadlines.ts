// One sweep for the deadlines of all calls of a node. Most calls are answered before the first sweep sees them, so that a
// deadline costs a call no more than one push onto an array.

import type { Call } from "./call.ts";
import type { Clock } from "./clock.ts";

export class Deadlines {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #open: Call[] = [];
  #armed = false;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  watch(call: Call): void {
    this.#open.push(call);
    if (this.#armed) return;
    this.#armed = true;
    this.#clock.after(this.#everyMs, this.#sweep);
  }

  readonly #sweep = (): void => {
    const nowMs = this.#clock.monotonicMs();
    const open = this.#open;
    this.#open = [];
    for (const call of open) {
      if (call.abandoned) continue;
      if (call.deadlineAtMs <= nowMs) call.expire();
      else this.#open.push(call);
    }
    this.#armed = this.#open.length > 0;
    if (this.#armed) this.#clock.after(this.#everyMs, this.#sweep);
  };
}
