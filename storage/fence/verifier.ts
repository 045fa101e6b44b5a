// One read of the revocations covers everything of this node that was complete before it started (FENCE rule 4).
//
// (V1) As many reads are in flight as may be at once, back to back while there is something to cover. When the newest is late,
//      what has come since does not wait for them: else the slowest answer of a member would be everybody's. Few are in flight,
//      whatever happens.
//      While the store is full, a read starts once in a while and no more often: what it covers has been under way for
//      longer, and the places that reads take are those of writes.
// (V2) What asks while a read is in flight is covered by one that starts later.
// (V3) A read that fails is done again; whoever waits for it waits on.

import type { Clock } from "../../runtime/index.ts";
import type { Rule } from "./mutations.ts";

export interface Covered {
  readonly shard: number;
  /** It waits for a read. For the verifier alone, which asks thousands of times a second whether somebody waits already. */
  asked: boolean;
  /** A read starts: what is complete at this moment, by a number of whoever asks. */
  reading?(): number;
  /** Called once a read for all requests before it, when it is done; not when the verifier was closed. `what` is what reading() gave. */
  covered(what: number): void;
}

export interface VerifierParts {
  /** Reads the revocations of these shards until it succeeds, and marks lost what was revoked. False: closed. */
  read(shards: ReadonlySet<number>): Promise<boolean>;
  readonly clock: Clock;
  /** So many reads are in flight before something waits for one of them. */
  readonly atOnce: number;
  /** After so long a read is late. */
  readonly lateMs: number;
  /** More is to be read and written than may be on its way. */
  isFull(): boolean;
  /** From the start of a read to that of the next one, while it is full. */
  readonly everyFullMs: number;
  readonly leaveOut: Rule | undefined;
}

/** For each that may be in flight at once: one that is late, and one that was started since. */
const READS_EACH = 2;

/** Who is covered, and up to what. */
interface Round {
  readonly requests: Covered[];
  readonly through: number[];
}

export class Verifier {
  readonly #parts: VerifierParts;
  #waiting: Covered[] = [];
  #gathering = false;
  #inFlight = 0;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #watching = false;
  /** Reads made so far, for tests and metrics. */
  reads = 0;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  cover(request: Covered): void {
    if (request.asked) return;
    request.asked = true;
    this.#waiting.push(request);
    if (this.#dueInMs() <= 0) this.#gather();
    else this.#watch();
  }

  /** Until the next read may start; of many, whatever ends starts the next one. */
  #dueInMs(): number {
    const { clock, atOnce, lateMs, isFull, everyFullMs } = this.#parts;
    if (this.#inFlight >= READS_EACH * atOnce) return Number.POSITIVE_INFINITY;
    const full = isFull();
    if (!full && this.#inFlight < atOnce) return 0;
    return this.#startedAtMs + (full ? everyFullMs : lateMs) - clock.monotonicMs();
  }

  /** With what completes in the same answer of the store: whoever waits for the rest of the turn waits for strangers. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#parts.clock.next(() => {
      this.#gathering = false;
      this.#start();
    });
  }

  #watch(): void {
    if (this.#watching) return;
    const dueInMs = this.#dueInMs();
    if (dueInMs === Number.POSITIVE_INFINITY) return;
    this.#watching = true;
    this.#parts.clock.after(Math.max(0, dueInMs), () => {
      this.#watching = false;
      this.#startIfDue();
    });
  }

  #startIfDue(): void {
    if (this.#waiting.length === 0) return;
    if (this.#dueInMs() <= 0) this.#start();
    else this.#watch();
  }

  #start(): void {
    if (this.#waiting.length === 0) return;
    const round = this.#take();
    const shards = new Set<number>();
    for (const { shard } of round.requests) shards.add(shard);
    this.#startedAtMs = this.#parts.clock.monotonicMs();
    this.#inFlight += 1;
    this.reads += 1;
    void this.#parts.read(shards).then((done) => this.#ended(round, done));
  }

  #take(): Round {
    const requests = this.#waiting;
    this.#waiting = [];
    const through: number[] = [];
    for (const request of requests) {
      request.asked = false;
      through.push(request.reading?.() ?? 0);
    }
    return { requests, through };
  }

  #ended(round: Round, done: boolean): void {
    this.#inFlight -= 1;
    if (!done) return;
    tell(round);
    if (this.#parts.leaveOut === "verifyAfterAppend") tell(this.#take());
    this.#startIfDue();
  }
}

function tell({ requests, through }: Round): void {
  for (let at = 0; at < requests.length; at++) requests[at]?.covered(through[at] ?? 0);
}
