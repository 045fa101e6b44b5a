// One read of the revocations covers everything of this node that was complete before it started (FENCE rule 4).
//
// (V1) At most one read is in flight, back to back while there is something to cover.
// (V2) What asks while a read is in flight is covered by the next one.
// (V3) A read that fails is done again; whoever waits for it waits on.

import type { Rule } from "./mutations.ts";

export interface Covered {
  readonly shard: number;
  /** Called once, after a read that started after the request; not when the verifier was closed. */
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
  #waiting: Covered[] = [];
  #phase: "idle" | "gathering" | "reading" = "idle";
  /** Reads made so far, for tests and metrics. */
  reads = 0;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  cover(request: Covered): void {
    this.#waiting.push(request);
    if (this.#phase !== "idle") return;
    this.#phase = "gathering";
    this.#parts.soon(() => void this.#run());
  }

  async #run(): Promise<void> {
    this.#phase = "reading";
    while (this.#waiting.length > 0) {
      let round = this.#waiting;
      this.#waiting = [];
      this.reads += 1;
      if (!(await this.#parts.read(new Set(round.map(({ shard }) => shard))))) break;
      if (this.#parts.leaveOut === "verifyAfterAppend") {
        round = [...round, ...this.#waiting];
        this.#waiting = [];
      }
      for (const request of round) request.covered();
    }
    this.#phase = "idle";
  }
}
