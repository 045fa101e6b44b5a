// One read of the revocations covers everything of this node that was complete before it started (FENCE rule 4).
//
// (V1) At most one read is in flight, back to back while there is something to cover.
// (V2) What asks while a read is in flight is covered by the next one.
// (V3) A read that fails is done again; whoever waits for it waits on.

import type { Rule } from "./mutations.ts";

export interface Covered {
  readonly shard: number;
  /** The read starts that covers what is complete at this moment. */
  reading?(): void;
  /** Called once for all requests before that read, when it is done; not when the verifier was closed. */
  covered(): void;
}

export interface VerifierParts {
  /** Reads the revocations of these shards until it succeeds, and marks lost what was revoked. False: closed. */
  read(shards: ReadonlySet<number>): Promise<boolean>;
  /** When this turn of the event loop has done its work. */
  soon(task: () => void): void;
  readonly leaveOut: Rule | undefined;
}

export class Verifier {
  readonly #parts: VerifierParts;
  #waiting = new Set<Covered>();
  #phase: "idle" | "gathering" | "reading" = "idle";
  /** Reads made so far, for tests and metrics. */
  reads = 0;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  cover(request: Covered): void {
    this.#waiting.add(request);
    if (this.#phase !== "idle") return;
    this.#phase = "gathering";
    this.#parts.soon(() => void this.#run());
  }

  #take(): Set<Covered> {
    const taken = this.#waiting;
    this.#waiting = new Set();
    for (const request of taken) request.reading?.();
    return taken;
  }

  async #run(): Promise<void> {
    this.#phase = "reading";
    while (this.#waiting.size > 0) {
      const round = this.#take();
      const shards = new Set<number>();
      for (const { shard } of round) shards.add(shard);
      this.reads += 1;
      if (!(await this.#parts.read(shards))) break;
      if (this.#parts.leaveOut === "verifyAfterAppend") for (const late of this.#take()) round.add(late);
      for (const request of round) request.covered();
    }
    this.#phase = "idle";
  }
}
