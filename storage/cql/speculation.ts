// When a request is asked of a second member, because the first is slow.
//
// (P1) All that this node says to a ring may be said twice: reads, and writes with the same bytes and a timestamp of their own.
// (P2) A few slow requests are a member that is paused. Many, again and again, are a ring that has too much to do, and would
//      get still more: after so many second questions, those that leave in the rest of some seconds are asked once.

import type { policies } from "cassandra-driver";
import type { Clock } from "../../runtime/index.ts";
import type { StorageSettings } from "../settings.ts";

type Policy = policies.speculativeExecution.SpeculativeExecutionPolicy;
type Limits = Pick<StorageSettings, "speculateAfterMs" | "speculationsMax" | "speculationsWithinMs">;

const never = { nextExecution: () => -1 };

export class BoundedSpeculation implements Policy {
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #asked: { readonly speculations: number };
  #sinceMs = Number.NEGATIVE_INFINITY;
  #before = 0;

  /** @param asked counts the second questions. */
  constructor(limits: Limits, clock: Clock, asked: { readonly speculations: number }) {
    this.#limits = limits;
    this.#clock = clock;
    this.#asked = asked;
  }

  init(): void {}

  newPlan(): { nextExecution: () => number } {
    const { speculateAfterMs, speculationsMax, speculationsWithinMs } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#sinceMs >= speculationsWithinMs) {
      this.#sinceMs = nowMs;
      this.#before = this.#asked.speculations;
    }
    if (this.#asked.speculations - this.#before >= speculationsMax) return never;
    let second = true;
    return {
      nextExecution() {
        const afterMs = second ? speculateAfterMs : -1;
        second = false;
        return afterMs;
      },
    };
  }

  getOptions(): Map<string, object> {
    return new Map();
  }

  shutdown(): void {}
}
