// One read of the revocations covers everything of this node that was complete before it started (FENCE rule 4).
//
// (V1) One read is in flight, back to back while there is something to cover. One that is late is not waited for by what has
//      come since: else the slowest answer of a member would be everybody's. Few are in flight at a time, whatever happens.
// (V2) What asks while a read is in flight is covered by one that starts later.
// (V3) A read that fails is done again; whoever waits for it waits on.

import type { Clock } from "../../runtime/index.ts";
import type { Rule } from "./mutations.ts";

export interface Covered {
  readonly shard: number;
  /** A read starts: what is complete at this moment, by a number of whoever asks. */
  reading?(): number;
  /** Called once a read for all requests before it, when it is done; not when the verifier was closed. `what` is what reading() gave. */
  covered(what: number): void;
}

export interface VerifierParts {
  /** Reads the revocations of these shards until it succeeds, and marks lost what was revoked. False: closed. */
  read(shards: ReadonlySet<number>): Promise<boolean>;
  readonly clock: Clock;
  /** After so long a read is late. */
  readonly lateMs: number;
  readonly leaveOut: Rule | undefined;
}

/** One that is late, and some that were started since. */
const READS_MAX = 4;

type Round = Map<Covered, number>;

export class Verifier {
  readonly #parts: VerifierParts;
  #waiting = new Set<Covered>();
  #gathering = false;
  #inFlight = 0;
  #startedAtMs = 0;
  #watching = false;
  /** Reads made so far, for tests and metrics. */
  reads = 0;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  cover(request: Covered): void {
    this.#waiting.add(request);
    if (this.#inFlight === 0) this.#gather();
    else this.#watch();
  }

  /** When this turn of the event loop has done its work. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#parts.clock.soon(() => {
      this.#gathering = false;
      this.#start();
    });
  }

  /** Until the read that started last is late. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    const { clock, lateMs } = this.#parts;
    clock.after(Math.max(0, this.#startedAtMs + lateMs - clock.monotonicMs()), () => {
      this.#watching = false;
      // Whatever ends starts the next one.
      if (this.#inFlight === 0 || this.#inFlight >= READS_MAX || this.#waiting.size === 0) return;
      if (clock.monotonicMs() >= this.#startedAtMs + lateMs) this.#start();
      else this.#watch();
    });
  }

  #start(): void {
    if (this.#waiting.size === 0) return;
    const round = this.#take();
    const shards = new Set<number>();
    for (const { shard } of round.keys()) shards.add(shard);
    this.#startedAtMs = this.#parts.clock.monotonicMs();
    this.#inFlight += 1;
    this.reads += 1;
    void this.#parts.read(shards).then((done) => this.#ended(round, done));
  }

  #take(): Round {
    const round: Round = new Map();
    for (const request of this.#waiting) round.set(request, request.reading?.() ?? 0);
    this.#waiting = new Set();
    return round;
  }

  #ended(round: Round, done: boolean): void {
    this.#inFlight -= 1;
    if (!done) return;
    if (this.#parts.leaveOut === "verifyAfterAppend") for (const [late, what] of this.#take()) round.set(late, what);
    for (const [request, what] of round) request.covered(what);
    this.#start();
  }
}
