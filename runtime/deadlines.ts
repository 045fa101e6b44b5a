// One sweep for the deadlines of all calls of a node. A list that calls link themselves into: one that is answered leaves it at
// once, so it dies young, and a deadline costs a call no timer.

import type { Call } from "./call.ts";
import type { Clock } from "./clock.ts";

export class Deadlines {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #newest: Call | undefined;
  #armed = false;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  watch(call: Call): void {
    call.watchedBy = this;
    call.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = call;
    this.#newest = call;
    if (this.#armed) return;
    this.#armed = true;
    this.#clock.after(this.#everyMs, this.#sweep);
  }

  /** The call has ended. */
  forget(call: Call): void {
    const { older, newer } = call;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older !== undefined) older.newer = newer;
    call.older = undefined;
    call.newer = undefined;
    call.watchedBy = undefined;
  }

  readonly #sweep = (): void => {
    const nowMs = this.#clock.monotonicMs();
    let next = this.#newest;
    while (next !== undefined) {
      const call = next;
      next = call.older;
      if (call.deadlineAtMs <= nowMs) call.expire(); // and so leaves the list
    }
    this.#armed = this.#newest !== undefined;
    if (this.#armed) this.#clock.after(this.#everyMs, this.#sweep);
  };
}
